// Package module chooses the kernel modules of an initrd and reads what they ask for.
package module

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Set is the modules of one kernel version in a tree. Paths of modules are relative to its directory.
type Set struct {
	// Dir is the kernel's directory of modules, as lib/modules/VERSION.
	Dir string

	tree    tree.Tree
	deps    map[string][]string
	path    map[string]string
	soft    map[string][]string
	builtin map[string]bool
}

// Read reads the indexes that depmod has made.
func Read(t tree.Tree, version string) (*Set, error) {
	s := &Set{
		Dir: path.Join("lib/modules", version), tree: t,
		deps: make(map[string][]string), path: make(map[string]string),
		soft: make(map[string][]string), builtin: make(map[string]bool),
	}
	if err := s.lines("modules.dep", s.dep); err != nil {
		return nil, fmt.Errorf("read modules of %s (run depmod in the image): %w", version, err)
	}
	for name, read := range map[string]func(string){"modules.softdep": s.softdep, "modules.builtin": s.built} {
		if err := s.lines(name, read); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read modules of %s: %w", version, err)
		}
	}
	return s, nil
}

func (s *Set) lines(name string, read func(string)) error {
	data, err := s.tree.ReadFile(path.Join(s.Dir, name))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			read(line)
		}
	}
	return nil
}

// dep reads "kernel/a.ko: kernel/b.ko kernel/c.ko".
func (s *Set) dep(line string) {
	file, needs, ok := strings.Cut(line, ":")
	if ok {
		s.deps[file] = strings.Fields(needs)
		s.path[Name(file)] = file
	}
}

// softdep reads "softdep a pre: b c post: d".
func (s *Set) softdep(line string) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "softdep" {
		return
	}
	for _, w := range words[2:] {
		if w != "pre:" && w != "post:" {
			s.soft[canonical(words[1])] = append(s.soft[canonical(words[1])], canonical(w))
		}
	}
}

func (s *Set) built(line string) { s.builtin[Name(line)] = true }

// Name returns the module's name of a path: no directory, no suffix, "_" for "-".
func Name(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return canonical(name)
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// maxModule bounds an unpacked module, in bytes.
const maxModule = 256 << 20

// Load returns the content of the module at path, unpacked when it is a .ko.xz, .ko.zst or .ko.gz.
func (s *Set) Load(file string) ([]byte, error) {
	data, err := s.tree.ReadFile(path.Join(s.Dir, file))
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	if data, err = unpack(file, data); err != nil {
		return nil, fmt.Errorf("read module %s: %w", file, err)
	}
	return data, nil
}

// Plain returns the path without the suffix of its compression.
func Plain(file string) string {
	for _, suffix := range []string{".xz", ".zst", ".gz"} {
		file = strings.TrimSuffix(file, suffix)
	}
	return file
}

func unpack(file string, data []byte) ([]byte, error) {
	var r io.Reader
	switch path.Ext(file) {
	case ".xz":
		x, err := xz.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		r = x
	case ".zst":
		z, err := zstd.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case ".gz":
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		r = z
	default:
		return data, nil
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(plain) > maxModule {
		err = fmt.Errorf("more than %d bytes", maxModule)
	}
	return plain, err
}
