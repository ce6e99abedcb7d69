// Package stage builds a small root file system out of files of an image.
package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"

	"github.com/luna-hpc/luna/services/image-packer/internal/library"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Stage is a directory that becomes an initrd. Files taken from the image lie where the image has them, behind the
// same links.
type Stage struct {
	// Root is the directory itself, as a tree to look things up in.
	Root tree.Tree

	image tree.Tree
	libs  *library.Resolver
	taken map[string]bool
	// names are the places of the files that have several, by what they are in the image.
	names map[file]string
}

// New returns an empty stage in dir, which exists, with the links of the image's own top level (bin to usr/bin).
func New(dir string, image tree.Tree) (*Stage, error) {
	libs, err := library.NewResolver(image)
	if err != nil {
		return nil, err
	}
	s := &Stage{Root: tree.At(dir), image: image, libs: libs, taken: make(map[string]bool), names: make(map[file]string)}
	for _, top := range []string{"usr/bin", "usr/sbin", "usr/lib", "bin", "sbin", "lib", "lib64"} {
		if err := s.dirOf(top + "/x"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Libraries returns the resolver of the image's libraries.
func (s *Stage) Libraries() *library.Resolver { return s.libs }

// Add takes the file, or the empty directory, called name in the image with the links that lead to it. A program
// brings its libraries and its loader, a script its interpreter. A missing name is fs.ErrNotExist.
func (s *Stage) Add(name string) error {
	real, links, err := s.image.Trace(name)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := s.link(l); err != nil {
			return err
		}
	}
	if s.taken[real] {
		return nil
	}
	s.taken[real] = true
	host := s.image.Host(real)
	info, err := os.Lstat(host)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return os.MkdirAll(s.Root.Host(real), 0o755)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", host)
	}
	if err := s.put(real, info); err != nil {
		return err
	}
	return s.needs(real, info.Mode())
}

// needs adds what an executable or a library cannot run without.
func (s *Stage) needs(real string, mode fs.FileMode) error {
	if interpreter, err := shebang(s.image.Host(real)); err != nil {
		return err
	} else if interpreter != "" && mode&0o111 != 0 {
		if err := s.Add(interpreter); err != nil {
			return fmt.Errorf("%s is a script: %w", real, err)
		}
	}
	libs, err := s.libs.Needs(real)
	if err != nil {
		return err
	}
	for _, lib := range libs {
		if err := s.Add(lib); err != nil {
			return fmt.Errorf("%s needs a library: %w", real, err)
		}
	}
	return nil
}

// AddTree takes the directory called name with all that is in it, as Add does. Links to nowhere are left out.
func (s *Stage) AddTree(name string) error {
	entries, err := s.image.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		add := s.Add
		if e.IsDir() {
			add = s.AddTree
		}
		if err := add(path.Join(name, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.Add(name)
}

// Write makes the file name with this content, also in place of one that was taken.
func (s *Stage) Write(name string, data []byte, mode fs.FileMode) error {
	real, err := s.place(name)
	if err != nil {
		return err
	}
	s.taken[real] = true
	if err := os.Remove(s.Root.Host(real)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(s.Root.Host(real), data, mode); err != nil {
		return err
	}
	return os.Chmod(s.Root.Host(real), mode)
}

// Symlink makes the link name to target.
func (s *Stage) Symlink(target, name string) error {
	real, err := s.place(name)
	if err != nil {
		return err
	}
	return s.link(tree.Link{Path: real, Target: target})
}

// Mkdir makes the directory name with this mode, and those above it.
func (s *Stage) Mkdir(name string, mode fs.FileMode) error {
	real, err := s.place(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Root.Host(real), 0o755); err != nil {
		return err
	}
	return os.Chmod(s.Root.Host(real), mode)
}

// Remove takes the file name out of the stage again.
func (s *Stage) Remove(name string) error {
	real, _, err := s.Root.Trace(name)
	if err != nil {
		return err
	}
	delete(s.taken, real)
	maps.DeleteFunc(s.names, func(_ file, name string) bool { return name == real })
	return os.Remove(s.Root.Host(real))
}

// place makes the directory for name and returns name with the links on the way resolved.
func (s *Stage) place(name string) (string, error) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if err := s.dirOf(name); err != nil {
		return "", err
	}
	dir, _, err := s.Root.Trace(path.Dir(name))
	if err != nil {
		return "", err
	}
	return path.Join(dir, path.Base(name)), nil
}

// dirOf makes the directories above name, as links where the image has links.
func (s *Stage) dirOf(name string) error {
	dir := path.Dir(name)
	if dir == "." || s.Root.IsDir(dir) {
		return nil
	}
	if err := s.dirOf(dir); err != nil {
		return err
	}
	real, links, err := s.image.Trace(dir)
	if errors.Is(err, fs.ErrNotExist) {
		parent, _, err := s.Root.Trace(path.Dir(dir))
		if err != nil {
			return err
		}
		return os.MkdirAll(s.Root.Host(path.Join(parent, path.Base(dir))), 0o755)
	}
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := s.link(l); err != nil {
			return err
		}
	}
	return os.MkdirAll(s.Root.Host(real), 0o755)
}

func (s *Stage) link(l tree.Link) error {
	if err := os.MkdirAll(s.Root.Host(path.Dir(l.Path)), 0o755); err != nil {
		return err
	}
	err := os.Symlink(l.Target, s.Root.Host(l.Path))
	if errors.Is(err, fs.ErrExist) {
		if target, readErr := os.Readlink(s.Root.Host(l.Path)); readErr == nil && target == l.Target {
			return nil
		}
	}
	return err
}
