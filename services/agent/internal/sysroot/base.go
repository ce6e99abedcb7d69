package sysroot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// base are the kernel's file systems that a Linux system has.
var base = []struct {
	point, kind string
	flags       uintptr
	data        string
	optional    bool
}{
	{"/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755", false},
	{"/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666", false},
	{"/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777", false},
	{"/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755", false},
	{"/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777", false},
	{"/sys/firmware/efi/efivars", "efivarfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", true},
}

// Base mounts the kernel's file systems in an initrd. What is mounted already
// stays; efivarfs is mounted where the firmware has it.
func Base() error {
	var errs []error
	for _, m := range base {
		if m.optional {
			if _, err := os.Stat(m.point); err != nil {
				continue
			}
		} else if err := os.MkdirAll(m.point, 0o755); err != nil {
			errs = append(errs, fmt.Errorf("make %s: %w", m.point, err))
			continue
		}
		err := unix.Mount(m.kind, m.point, m.kind, m.flags, m.data)
		if err != nil && !errors.Is(err, unix.EBUSY) && !m.optional {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.point, err))
		}
	}
	return errors.Join(append(errs, links())...)
}

// links makes the names in /dev that shells need.
func links() error {
	var errs []error
	for name, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, name); err != nil && !errors.Is(err, os.ErrExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
