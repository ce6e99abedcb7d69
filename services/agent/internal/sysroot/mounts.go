// Package sysroot prepares, checks and enters the root of the installed system.
package sysroot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is one line of mountinfo, proc(5).
type Mount struct {
	Point string
	Type  string
	// Source is the device, or what else was named when it was mounted.
	Source string
}

// Mounts returns the mounts in the order in which they were made.
func Mounts() ([]Mount, error) {
	f, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	return parseMounts(f)
}

func parseMounts(r io.Reader) ([]Mount, error) {
	var mounts []Mount
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(head) < 6 || len(tail) < 2 {
			return nil, fmt.Errorf("list mounts: line %q", lines.Text())
		}
		mounts = append(mounts, Mount{Point: unescape(head[4]), Type: tail[0], Source: unescape(tail[1])})
	}
	return mounts, lines.Err()
}

// unescape undoes the kernel's \040 for a space and so on.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below tells whether point is dir or lies under it.
func below(point, dir string) bool {
	rest, ok := strings.CutPrefix(point, strings.TrimSuffix(dir, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// IsMount tells whether something is mounted on dir.
func IsMount(dir string) (bool, error) {
	mounts, err := Mounts()
	for _, m := range mounts {
		if m.Point == dir {
			return true, err
		}
	}
	return false, err
}

// Clear undoes what an earlier try mounted on dir and below, and stops using
// swap space, so that disks can be partitioned anew.
func Clear(dir string) error {
	return errors.Join(swapOff(), unmountWhere(func(m Mount) bool { return below(m.Point, dir) }))
}

// unmountWhere unmounts what pick picks, the newest first. A mount that is in
// use is taken out of sight and ends with its last user.
func unmountWhere(pick func(Mount) bool) error {
	mounts, err := Mounts()
	if err != nil {
		return err
	}
	var errs []error
	for i := len(mounts) - 1; i >= 0; i-- {
		if !pick(mounts[i]) {
			continue
		}
		err := unix.Unmount(mounts[i].Point, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(mounts[i].Point, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", mounts[i].Point, err))
		}
	}
	return errors.Join(errs...)
}

func swapOff() error {
	data, err := os.ReadFile("/proc/swaps")
	if errors.Is(err, os.ErrNotExist) {
		return nil // A kernel without swap.
	}
	if err != nil {
		return fmt.Errorf("list swap space: %w", err)
	}
	var errs []error
	for _, path := range swaps(string(data)) {
		if err := swapoff(path); err != nil {
			errs = append(errs, fmt.Errorf("stop swapping to %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// swaps returns the files and devices of /proc/swaps, which has a title line.
func swaps(text string) []string {
	var paths []string
	for i, line := range strings.Split(text, "\n") {
		if words := strings.Fields(line); i > 0 && len(words) > 0 {
			paths = append(paths, unescape(words[0]))
		}
	}
	return paths
}

func swapoff(path string) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	return pathCall(unix.SYS_SWAPOFF, p)
}
