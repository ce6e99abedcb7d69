// Package library finds the shared libraries that a program of an image needs, as the image's dynamic loader would.
package library

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Resolver resolves the needs of programs in one tree.
type Resolver struct {
	tree tree.Tree
	dirs []string
	seen map[string]*object
}

// NewResolver reads the tree's loader configuration.
func NewResolver(t tree.Tree) (*Resolver, error) {
	dirs, err := configured(t)
	if err != nil {
		return nil, fmt.Errorf("read ld.so.conf: %w", err)
	}
	return &Resolver{tree: t, dirs: append(dirs, standard...), seen: make(map[string]*object)}, nil
}

// standard are the loader's own directories, of all distributions.
var standard = []string{
	"lib64", "usr/lib64",
	"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu",
	"lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu",
	"lib", "usr/lib",
}

// object is what the dynamic loader reads of a file.
type object struct {
	class   elf.Class
	machine elf.Machine
	interp  string
	needed  []string
	search  []string
	dlopen  []string
}

// Needs returns the paths in the tree of the loader and of all libraries that the ELF file name needs, directly or
// through others, before links are followed. A file that is no ELF, or a static one, needs nothing. The error names
// a library that the tree lacks.
func (r *Resolver) Needs(name string) ([]string, error) {
	top, err := r.open(name)
	if err != nil || top == nil {
		return nil, err
	}
	var needs []string
	if top.interp != "" {
		needs = append(needs, strings.TrimPrefix(top.interp, "/"))
	}
	todo := []*object{top}
	for len(todo) > 0 {
		obj := todo[0]
		todo = todo[1:]
		for _, lib := range slices.Concat(obj.needed, obj.dlopen) {
			found, err := r.find(lib, slices.Concat(obj.search, top.search), top)
			if errors.Is(err, fs.ErrNotExist) && !slices.Contains(obj.needed, lib) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s needs %s: %w", name, lib, err)
			}
			if slices.Contains(needs, found) {
				continue
			}
			needs = append(needs, found)
			next, err := r.open(found)
			if err != nil {
				return nil, err
			}
			todo = append(todo, next)
		}
	}
	return needs, nil
}

// Find returns the path in the tree of the library named soname that suits the ELF file like, or fs.ErrNotExist.
func (r *Resolver) Find(soname, like string) (string, error) {
	obj, err := r.open(like)
	if err != nil {
		return "", err
	}
	if obj == nil {
		return "", fmt.Errorf("%s is no ELF file", like)
	}
	return r.find(soname, obj.search, obj)
}

// Machine returns the processor that the ELF file name is for.
func (r *Resolver) Machine(name string) (elf.Machine, error) {
	obj, err := r.open(name)
	if err != nil {
		return elf.EM_NONE, err
	}
	if obj == nil {
		return elf.EM_NONE, fmt.Errorf("%s is no ELF file", name)
	}
	return obj.machine, nil
}

func (r *Resolver) find(lib string, search []string, like *object) (string, error) {
	if strings.Contains(lib, "/") {
		return strings.TrimPrefix(lib, "/"), nil
	}
	for _, dir := range slices.Concat(search, r.dirs) {
		p := path.Join(dir, lib)
		if !r.tree.IsFile(p) {
			continue
		}
		obj, err := r.open(p)
		if err != nil {
			return "", err
		}
		if obj != nil && obj.class == like.class && obj.machine == like.machine {
			return p, nil
		}
	}
	return "", &fs.PathError{Op: "find library", Path: lib, Err: fs.ErrNotExist}
}

// open reads the dynamic section of name; nil when it is no ELF file.
func (r *Resolver) open(name string) (*object, error) {
	real, _, err := r.tree.Trace(name)
	if err != nil {
		return nil, err
	}
	if obj, ok := r.seen[real]; ok {
		return obj, nil
	}
	obj, err := read(r.tree.Host(real))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if obj != nil {
		for i, dir := range obj.search {
			obj.search[i] = strings.TrimPrefix(expand(dir, path.Dir(real)), "/")
		}
	}
	r.seen[real] = obj
	return obj, nil
}
