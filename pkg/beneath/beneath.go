// Package beneath reaches names below a directory without ever following a symbolic link.
package beneath

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a directory and a chain of open directories below it. Walking paths in sorted order
// reuses most of the chain. It is for one goroutine.
type Dir struct {
	root  int
	chain []link
}

type link struct {
	name string
	fd   int
}

const openDir = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// Open returns the directory at path; path itself may lead through links.
func Open(path string) (*Dir, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &Dir{root: fd}, nil
}

// Close closes the directory and its chain.
func (d *Dir) Close() error {
	d.cut(0)
	return unix.Close(d.root)
}

// Parent returns an open descriptor of the directory that holds name, good until the next call,
// and name's last part. Every part on the way must be a real directory; with create, missing
// ones are made with mode 0755.
func (d *Dir) Parent(name string, create bool) (int, string, error) {
	parts, err := split(name)
	if err != nil {
		return -1, "", err
	}
	dirs, base := parts[:len(parts)-1], parts[len(parts)-1]
	keep := 0
	for keep < len(dirs) && keep < len(d.chain) && d.chain[keep].name == dirs[keep] {
		keep++
	}
	d.cut(keep)
	for i, part := range dirs[keep:] {
		if err := d.descend(part, create); err != nil {
			return -1, "", &os.PathError{Op: "enter", Path: strings.Join(dirs[:keep+i+1], "/"), Err: err}
		}
	}
	return d.last(), base, nil
}

// File opens the file at name for reading; a link is an error, and it never waits for a writer of a FIFO.
func (d *Dir) File(name string) (*os.File, error) {
	at, base, err := d.Parent(name, false)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), base), nil
}

// Path returns a path to base in the open directory fd, for calls that know no descriptors.
// Only the last part can be a link.
func Path(fd int, base string) string {
	return "/proc/self/fd/" + strconv.Itoa(fd) + "/" + base
}

func (d *Dir) descend(part string, create bool) error {
	at := d.last()
	fd, err := unix.Openat(at, part, openDir, 0)
	if create && errors.Is(err, unix.ENOENT) {
		if err = unix.Mkdirat(at, part, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		fd, err = unix.Openat(at, part, openDir, 0)
	}
	if err != nil {
		return err
	}
	d.chain = append(d.chain, link{part, fd})
	return nil
}

func (d *Dir) last() int {
	if len(d.chain) == 0 {
		return d.root
	}
	return d.chain[len(d.chain)-1].fd
}

func (d *Dir) cut(keep int) {
	for _, l := range d.chain[keep:] {
		unix.Close(l.fd)
	}
	d.chain = d.chain[:keep]
}

func split(name string) ([]string, error) {
	parts := strings.Split(name, "/")
	for _, p := range parts {
		if p == "" || p == "." || p == ".." || strings.ContainsRune(p, 0) {
			return nil, fmt.Errorf("path %q does not stay below the root", name)
		}
	}
	return parts, nil
}
