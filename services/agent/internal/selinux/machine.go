package selinux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// selinuxfs is where a kernel with SELinux switched on has a place for its file system.
const selinuxfs = "/sys/fs/selinux"

func kernel() bool {
	info, err := os.Stat(selinuxfs)
	return err == nil && info.IsDir()
}

func enter(root string) *syscall.SysProcAttr { return &syscall.SysProcAttr{Chroot: root} }

// attach mounts /proc, /sys and /dev below root a second time.
func attach(root string) (detach func() error, err error) {
	if err := unix.Mount("selinuxfs", selinuxfs, "selinuxfs", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("mount %s: %w", selinuxfs, err)
	}
	var done []string
	detach = func() error {
		var errs []error
		for i := len(done) - 1; i >= 0; i-- {
			if err := unix.Unmount(done[i], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				errs = append(errs, fmt.Errorf("unmount %s: %w", done[i], err))
			}
		}
		return errors.Join(errs...)
	}
	for _, dir := range []string{"/proc", "/sys", "/dev"} {
		to := filepath.Join(root, dir)
		err := os.MkdirAll(to, 0o755)
		if err == nil {
			err = unix.Mount(dir, to, "", unix.MS_BIND|unix.MS_REC, "")
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("mount %s for the labelling: %w", to, err), detach())
		}
		done = append(done, to)
	}
	return detach, nil
}

func inMemory(path string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false, fmt.Errorf("statfs %s: %w", path, err)
	}
	return st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC, nil
}

// label is the attribute that holds a label.
const label = "security.selinux"

// unlabelled walks the tree. What is in volatile folders does not count, nor file systems that keep no attributes.
func unlabelled(ctx context.Context, root string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.Join("/", name)
		_, err = unix.Lgetxattr(path, label, nil)
		switch {
		case errors.Is(err, unix.ENODATA):
			paths = append(paths, name)
		case err != nil && !errors.Is(err, unix.EOPNOTSUPP):
			return fmt.Errorf("read the label of %s: %w", path, err)
		}
		if d.IsDir() && slices.Contains(volatile, name) {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for files without a label: %w", err)
	}
	return paths, nil
}
