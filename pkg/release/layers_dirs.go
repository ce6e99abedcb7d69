package release

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// whiteout begins the name of an entry that hides the rest of the name.
	whiteout = ".wh."
	// layerMeta begins names that mean something to the file system that a layer was made with, and nothing in it.
	layerMeta = whiteout + whiteout
	// opaque hides all that earlier layers have in its directory.
	opaque = layerMeta + ".opq"
)

// isLayerMeta tells whether an entry is none of the image.
func isLayerMeta(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, layerMeta) && part != opaque {
			return true
		}
	}
	return false
}

// hide removes what earlier layers have by the name that a whiteout says.
func (l *Layers) hide(name string) error {
	at, base, err := l.dir.Parent(name, nil)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(at)
	dir, err := Stat(at, "")
	if err != nil {
		return err
	}
	if base == opaque {
		return l.hideBelow(at, ".", dir.Ino)
	}
	hidden := strings.TrimPrefix(base, whiteout)
	if hidden == "" || hidden == "." || hidden == ".." {
		return errors.New("a whiteout of no name")
	}
	return l.remove(at, dir.Ino, hidden, l.fresh)
}

// hideBelow removes what earlier layers have in a directory.
func (l *Layers) hideBelow(at int, base string, ino uint64) error {
	return eachName(at, base, func(fd int, name string) error { return l.remove(fd, ino, name, l.fresh) })
}

// clear makes room for an entry: only a directory may stay where one comes.
func (l *Layers) clear(at int, base string, dir bool) error {
	st, err := Stat(at, base)
	if errors.Is(err, unix.ENOENT) || err == nil && dir && st.isDir() {
		return nil
	}
	if err != nil {
		return err
	}
	return l.remove(at, 0, base, nil)
}

// remove removes a name in the directory at, whose inode is dir, and all below it, but for what is kept and what leads
// to that.
func (l *Layers) remove(at int, dir uint64, base string, kept map[nameAt]bool) error {
	st, err := Stat(at, base)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	stays := kept[nameAt{dir, base}]
	if !st.isDir() {
		if stays {
			return nil
		}
		return unix.Unlinkat(at, base, 0)
	}
	err = eachName(at, base, func(fd int, name string) error { return l.remove(fd, st.Ino, name, kept) })
	if err != nil || stays {
		return err
	}
	err = unix.Unlinkat(at, base, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.ENOTEMPTY) && len(kept) > 0 {
		return nil
	}
	return err
}

// eachName calls do with the open directory and each name in it.
func eachName(at int, base string, do func(fd int, name string) error) (err error) {
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	defer func() { err = errors.Join(err, f.Close()) }()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := do(fd, name); err != nil {
			return err
		}
	}
	return nil
}

// Finish gives each directory, the root last, its owner, mode, attributes and times.
func (l *Layers) Finish() error {
	if err := l.finish(unix.AT_FDCWD, l.root); err != nil {
		return fmt.Errorf("finish the tree: %w", err)
	}
	return l.Close()
}

// finish finishes a directory after those in it.
func (l *Layers) finish(at int, base string) error {
	err := eachName(at, base, func(fd int, name string) error {
		st, err := Stat(fd, name)
		if err != nil || !st.isDir() {
			return err
		}
		return l.finish(fd, name)
	})
	if err != nil {
		return err
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := Stat(fd, "")
	if err != nil {
		return err
	}
	if hdr := l.dirs[st.Ino]; hdr != nil {
		err = setDir(fd, dirMeta(hdr), l.w.refused)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", base, err)
	}
	return nil
}
