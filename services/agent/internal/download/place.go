package download

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// slack is memory for what lies beside the segments, in bytes.
const slack = 16 << 20

// Mount places dir in memory: a tmpfs that holds size bytes and little more.
func Mount(dir string, size int64) error {
	mounted, err := sysroot.IsMount(dir)
	if err != nil {
		return err
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if mounted {
		flags |= unix.MS_REMOUNT
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("mode=0700,size=%d", size+slack)); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return nil
}

// Unmount undoes Mount: the memory is free afterwards.
func Unmount(dir string) error {
	err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		err = nil // Not mounted.
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// Held returns the bytes that the files in dir take.
func Held(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		sum += st.Blocks * 512
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure the payload: %w", err)
	}
	return sum, nil
}
