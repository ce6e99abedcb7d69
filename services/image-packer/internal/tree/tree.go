// Package tree finds files in an image's directory as the booted image would, never outside it.
package tree

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Tree is the directory of an image on this machine.
type Tree struct {
	root   string
	record Record
}

// At returns the tree in the directory root.
func At(root string) Tree { return Tree{root: root} }

// Recording returns the same tree, which notes in r what is looked up in it.
func (t Tree) Recording(r Record) Tree { return Tree{root: t.root, record: r} }

// String returns the tree's directory.
func (t Tree) String() string { return t.root }

// Link is a symbolic link on the way to a file, by its path in the tree.
type Link struct{ Path, Target string }

// maxLinks is what the kernel follows on one path.
const maxLinks = 40

// Trace returns the real path of name, without a leading slash ("." for the root), and the links that lead there, in
// order. Absolute targets start at the tree, and ".." stops there. A name that does not exist is fs.ErrNotExist.
func (t Tree) Trace(name string) (string, []Link, error) {
	var links []Link
	real := ""
	todo := strings.Split(name, "/")
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			real = strings.TrimPrefix(path.Dir("/"+real), "/")
			continue
		}
		next := path.Join(real, part)
		info, err := os.Lstat(t.Host(next))
		t.record.note(next, info, err)
		if err != nil {
			return "", nil, t.failed(name, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if len(todo) > 0 && !info.IsDir() && strings.Trim(strings.Join(todo, ""), "/") != "" {
				return "", nil, t.failed(name, syscall.ENOTDIR)
			}
			real = next
			continue
		}
		target, err := os.Readlink(t.Host(next))
		if err != nil {
			return "", nil, t.failed(name, err)
		}
		links = append(links, Link{Path: next, Target: target})
		if len(links) > maxLinks {
			return "", nil, t.failed(name, syscall.ELOOP)
		}
		if path.IsAbs(target) {
			real = ""
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if real == "" {
		real = "."
	}
	return real, links, nil
}

func (t Tree) failed(name string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist
	}
	return &fs.PathError{Op: "find in " + t.root, Path: name, Err: err}
}

// Host returns where a real path of the tree lies on this machine.
func (t Tree) Host(real string) string { return filepath.Join(t.root, real) }

// Find returns where name lies on this machine, links followed.
func (t Tree) Find(name string) (string, error) {
	real, _, err := t.Trace(name)
	if err != nil {
		return "", err
	}
	return t.Host(real), nil
}

// Stat returns the state of name, links followed.
func (t Tree) Stat(name string) (fs.FileInfo, error) {
	host, err := t.Find(name)
	if err != nil {
		return nil, err
	}
	return os.Lstat(host)
}

// IsFile tells whether name is a regular file, links followed.
func (t Tree) IsFile(name string) bool {
	info, err := t.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// IsDir tells whether name is a directory, links followed.
func (t Tree) IsDir(name string) bool {
	info, err := t.Stat(name)
	return err == nil && info.IsDir()
}

// ReadFile returns the content of name, links followed.
func (t Tree) ReadFile(name string) ([]byte, error) {
	host, err := t.Find(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(host)
}

// ReadDir lists the directory name, links followed, sorted. A missing one is empty.
func (t Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	real, _, err := t.Trace(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t.record.list(t.root, real)
	return os.ReadDir(t.Host(real))
}

// Glob returns the names in the directory dir that match the path.Match pattern, each with dir before it, sorted.
func (t Tree) Glob(dir, pattern string) ([]string, error) {
	entries, err := t.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		ok, err := path.Match(pattern, e.Name())
		if err != nil {
			return nil, err
		}
		if ok {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return names, nil
}
