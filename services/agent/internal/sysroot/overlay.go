package sysroot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/erofs"
	"github.com/luna-hpc/luna/pkg/release"
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

// alike gives the directory to, which becomes the overlay's root, what the image's root has. Attributes that a tmpfs does
// not know, as user.* before Linux 6.6, are left out.
func alike(from, to string) (err error) {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := release.Stat(int(f.Fd()), "")
	if err != nil {
		return err
	}
	root, err := release.DescribeOpen(int(f.Fd()), ".", st)
	if err != nil {
		return err
	}
	m, err := release.NewMaker(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	root.Name = "." // a directory's ends with a slash
	return m.SetDir(root)
}
