package sysroot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// empty deletes everything in a directory on the file system dev, also when
// the directory has no path any more. Other file systems mounted in it stay.
func empty(dir *os.File, dev uint64) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("list the old root: %w", err)
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, remove(dir, name, dev))
	}
	return errors.Join(errs...)
}

func remove(dir *os.File, name string, dev uint64) error {
	at := int(dir.Fd())
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("look at %s of the old root: %w", name, err)
	}
	if st.Dev != dev {
		return nil
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.Unlinkat(at, name, 0)
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s of the old root: %w", name, err)
	}
	sub := os.NewFile(uintptr(fd), name)
	defer sub.Close()
	if err := empty(sub, dev); err != nil {
		return err
	}
	err = unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EBUSY) {
		return nil // It holds another file system.
	}
	return err
}

func device(f *os.File) uint64 {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0 // No file system has it: nothing is deleted.
	}
	return st.Dev
}
