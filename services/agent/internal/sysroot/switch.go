package sysroot

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// kept are the mounts that the installed system takes over.
var kept = []string{"/dev", "/proc", "/sys", "/run"}

// Ready returns why the system below dir cannot be started with init, or nil.
func Ready(dir, init string) error {
	mounted, err := IsMount(dir)
	if err != nil {
		return err
	}
	if !mounted {
		return fmt.Errorf("nothing is mounted on %s", dir)
	}
	return hasInit(dir, init)
}

func hasInit(dir, init string) error {
	tree, err := Open(dir)
	if err != nil {
		return err
	}
	defer tree.Close()
	info, err := tree.Stat(strings.TrimPrefix(init, "/"))
	if err != nil {
		return fmt.Errorf("%s has no %s", dir, init)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s in %s is no program", init, dir)
	}
	return nil
}

// Switch makes dir the root, frees the memory of the old one, and becomes
// init. It works in process 1 of a machine that runs from an initrd, and
// returns only when it fails. Moved tells whether the old root is gone.
func Switch(log *slog.Logger, dir string, argv, env []string) (moved bool, err error) {
	if err := inInitrd(); err != nil {
		return false, err
	}
	if err := Ready(dir, argv[0]); err != nil {
		return false, err
	}
	old, err := os.Open("/")
	if err != nil {
		return false, fmt.Errorf("open the old root: %w", err)
	}
	defer old.Close()
	if err := leave(dir); err != nil {
		log.Warn("some mounts stay behind", "err", err)
	}
	if err := move(dir); err != nil {
		return false, err
	}
	if err := enter(dir); err != nil {
		return false, err
	}
	if err := empty(old, device(old)); err != nil {
		log.Warn("the initrd is not wholly freed", "err", err)
	}
	if err := console(); err != nil {
		log.Warn("no console for the new system", "err", err)
	}
	return true, fmt.Errorf("start %s: %w", argv[0], syscall.Exec(argv[0], argv, env))
}

// inInitrd makes sure that emptying the root deletes an initrd and nothing else.
func inInitrd() error {
	var fs unix.Statfs_t
	if err := unix.Statfs("/", &fs); err != nil {
		return fmt.Errorf("statfs /: %w", err)
	}
	if os.Getpid() != 1 || !inMemory(&fs) {
		return errors.New("this is no initrd: / is not in memory, or this is not process 1")
	}
	return nil
}

// leave unmounts what belongs to neither the new root nor the kept mounts.
func leave(dir string) error {
	return unmountWhere(func(m Mount) bool {
		keep := m.Point == "/" || below(m.Point, dir)
		return !keep && !slices.ContainsFunc(kept, func(k string) bool { return below(m.Point, k) })
	})
}

// move moves the kept mounts below dir, all or none.
func move(dir string) (err error) {
	// Moving /proc takes the list of mounts away, so it is read before.
	mounts, err := Mounts()
	if err != nil {
		return err
	}
	var moved []string
	defer func() {
		if err == nil {
			return
		}
		for _, point := range slices.Backward(moved) {
			err = errors.Join(err, unix.Mount(filepath.Join(dir, point), point, "", unix.MS_MOVE, ""))
		}
	}()
	for _, point := range kept {
		if !slices.ContainsFunc(mounts, func(m Mount) bool { return m.Point == point }) {
			continue
		}
		to := filepath.Join(dir, point)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return fmt.Errorf("make a place for %s: %w", point, err)
		}
		if err := unix.Mount(point, to, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", point, err)
		}
		moved = append(moved, point)
	}
	return nil
}

func enter(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the new root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	return os.Chdir("/")
}

// console gives the new system the console that the kernel would have given it.
func console() error {
	fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open /dev/console: %w", err)
	}
	for std := range 3 {
		if err := unix.Dup3(fd, std, 0); err != nil {
			return fmt.Errorf("take /dev/console: %w", err)
		}
	}
	if fd > 2 {
		return unix.Close(fd)
	}
	return nil
}
