package sysroot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/erofs"
)

// Changes are the options of the tmpfs that takes what is written to a compressed root.
const Changes = "size=90%,mode=0755"

// Overlay mounts a compressed image on dir, with what is written to it in memory. The parts are mounted below work and
// taken out of sight again: the overlay alone holds them, and the image's file may lose its name.
func Overlay(image, dir, work string) (err error) {
	lower, changes := filepath.Join(work, "image"), filepath.Join(work, "changes")
	for _, d := range []string{lower, changes, dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make a place for the root: %w", err)
		}
	}
	if err := erofs.Mount(image, lower); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hide(lower)) }()
	if err := unix.Mount("tmpfs", changes, "tmpfs", 0, Changes); err != nil {
		return fmt.Errorf("mount a tmpfs for changes of the root: %w", err)
	}
	defer func() { err = errors.Join(err, hide(changes)) }()
	upper, inner := filepath.Join(changes, "upper"), filepath.Join(changes, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(inner, 0o700), alike(lower, upper)); err != nil {
		return fmt.Errorf("prepare the root for changes: %w", err)
	}
	// A change of owner or label copies no content, and directories of the image can be renamed.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,metacopy=on,redirect_dir=on", lower, upper, inner)
	if err := unix.Mount("overlay", dir, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount an overlay on %s: %w", dir, err)
	}
	return nil
}

func hide(dir string) error {
	if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("hide %s: %w", dir, err)
	}
	return nil
}

// alike gives the directory to, which becomes the overlay's root, what the image's root has.
func alike(from, to string) error {
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err != nil {
		return err
	}
	if err := errors.Join(os.Lchown(to, int(st.Uid), int(st.Gid)), unix.Chmod(to, st.Mode&0o7777)); err != nil {
		return err
	}
	names := make([]byte, 64<<10) // more the kernel does not list
	n, err := unix.Listxattr(from, names)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(string(names[:max(n, 0)]), "\x00") {
		if name == "" {
			continue
		}
		size, err := unix.Getxattr(from, name, value)
		if err == nil {
			err = unix.Setxattr(to, name, value[:size], 0)
		}
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) { // a tmpfs knows no user.* before Linux 6.6
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
