package sysroot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Tree reads and writes files of the installed system. Names are relative to
// its root; links are followed as that system will follow them, and none leads
// out of the tree.
type Tree struct{ root *os.Root }

// Open opens the tree below dir.
func Open(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the new root: %w", err)
	}
	return &Tree{root: root}, nil
}

// Close gives the tree back.
func (t *Tree) Close() error { return t.root.Close() }

// Stat returns what name is, after links.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	real, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	return t.root.Lstat(real)
}

// Exists tells whether name is there, after links.
func (t *Tree) Exists(name string) bool {
	_, err := t.Stat(name)
	return err == nil
}

// Read returns a file's bytes; a file that is not there is empty.
func (t *Tree) Read(name string) ([]byte, error) {
	real, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	data, err := t.root.ReadFile(real)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Write makes a file hold data and have mode, and tells whether it had to be
// changed. Directories above are made. A file that is there keeps its owner
// and attributes; a symbolic link that leads nowhere is replaced.
func (t *Tree) Write(name string, data []byte, mode fs.FileMode) (changed bool, err error) {
	changed, err = t.write(name, data, mode)
	if err != nil {
		return false, fmt.Errorf("write %s: %w", name, err)
	}
	return changed, nil
}

func (t *Tree) write(name string, data []byte, mode fs.FileMode) (bool, error) {
	real, err := t.place(name)
	if err != nil {
		return false, err
	}
	info, err := t.root.Lstat(real)
	if err == nil && info.Mode().Perm() == mode {
		if old, err := t.root.ReadFile(real); err == nil && bytes.Equal(old, data) {
			return false, nil
		}
	}
	if err := t.root.MkdirAll(path.Dir(real), 0o755); err != nil {
		return false, err
	}
	if err := t.root.WriteFile(real, data, mode); err != nil {
		return false, err
	}
	return true, t.root.Chmod(real, mode)
}

// place returns where to write name, having removed what is no file there.
func (t *Tree) place(name string) (string, error) {
	real, err := t.resolve(name)
	if err != nil {
		return "", err
	}
	if info, err := t.root.Lstat(real); err == nil && info.Mode().IsRegular() {
		return real, nil
	}
	dir, err := t.resolve(path.Dir(name))
	if err != nil {
		return "", err
	}
	real = path.Join(dir, path.Base(name))
	if err := t.root.Remove(real); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return real, nil
}

// Remove removes a file or a link and tells whether it was there.
func (t *Tree) Remove(name string) (bool, error) {
	dir, err := t.resolve(path.Dir(name))
	if err != nil {
		return false, err
	}
	err = t.root.Remove(path.Join(dir, path.Base(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Link returns where a symbolic link leads, or "" when name is none.
func (t *Tree) Link(name string) string {
	dir, err := t.resolve(path.Dir(name))
	if err != nil {
		return ""
	}
	target, err := t.root.Readlink(path.Join(dir, path.Base(name)))
	if err != nil {
		return ""
	}
	return target
}

// List returns the names in a directory, sorted; a directory that is not there
// is empty.
func (t *Tree) List(name string) ([]string, error) {
	real, err := t.resolve(name)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(t.root.FS(), real)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}
