// Package loader serves the boot loaders that firmware asks for.
package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Dirs are directories of loaders; the first that has a file wins, so an
// operator's own loaders go before the distribution's.
type Dirs []string

// Open opens a loader by its plain name. Firmware may put a slash or the
// server's folder before it; names that would leave the directories, and what
// is no regular file, are os.ErrNotExist.
func (d Dirs) Open(name string) (*os.File, error) {
	name = clean(name)
	if name == "" {
		return nil, fs.ErrNotExist
	}
	for _, dir := range d {
		f, err := open(dir, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, fs.ErrNotExist
}

// clean returns the plain file name in a request; "" when there is none.
func clean(name string) string {
	name = strings.TrimPrefix(name, "/")
	if name != path.Base(name) || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, odd) {
		return ""
	}
	return name
}

func odd(r rune) bool {
	return r <= ' ' || r > '~' || r == '\\' || r == '/'
}

// open follows links: loaders in a distribution are often links to elsewhere.
func open(dir, name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file: %w", f.Name(), fs.ErrNotExist)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
