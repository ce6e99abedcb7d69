// Package inroot reaches names below a directory as a process whose root it is would: links are followed, never out of it.
package inroot

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a directory that is taken for the root.
type Dir struct{ fd int }

// maxLinks is what the kernel follows on one path.
const maxLinks = 40

// Open returns the directory at name; name itself may lead through links.
func Open(name string) (*Dir, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &Dir{fd}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// Clean returns name without what leads nowhere, as "./" and leading slashes; "" is the root. A name with ".." is an
// error: nobody who means well writes it.
func Clean(name string) (string, error) {
	var kept []string
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == ".." || strings.ContainsRune(part, 0):
			return "", fmt.Errorf("path %q does not stay below the root", name)
		case part != "" && part != ".":
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "/"), nil
}

// Parent returns an open descriptor of the directory that holds name, a clean one, and name's last part, which is
// not followed. With made, missing directories are made with mode 0755, and made is called with each. The caller
// closes the descriptor. No other file system is entered.
func (d *Dir) Parent(name string, made func(fd int) error) (fd int, base string, err error) {
	dir, base := path.Split(name)
	fd, err = d.open(dir, made, 0)
	if err != nil {
		err = &os.PathError{Op: "enter", Path: dir, Err: err}
	}
	return fd, base, err
}

// open opens the directory at name. links counts those that led to something missing.
func (d *Dir) open(name string, made func(fd int) error, links int) (int, error) {
	fd, err := unix.Openat2(d.fd, path.Join(".", name), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
	if made == nil || !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	return d.make(path.Clean(name), made, links)
}

// make makes the directory at name, which is missing, or where it leads to: the link itself may be there.
func (d *Dir) make(name string, made func(fd int) error, links int) (int, error) {
	if links > maxLinks {
		return -1, unix.ELOOP
	}
	dir, base := path.Split(name)
	at, err := d.open(dir, made, links)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	err = unix.Mkdirat(at, base, 0o755)
	if errors.Is(err, unix.EEXIST) {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d/%s", at, base))
		if err != nil {
			return -1, unix.ENOTDIR
		}
		if !path.IsAbs(target) {
			target = dir + target
		}
		return d.open(target, made, links+1)
	}
	if err != nil {
		return -1, err
	}
	fd, err := unix.Openat(at, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := made(fd); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}
