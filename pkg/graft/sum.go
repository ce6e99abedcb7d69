package graft

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// sums reads the files that have the size and time that is wanted: something on the system may have written another
// content and set the time back, as package managers do.
func (v Live) sums(want, have []*Fact) (err error) {
	dir, err := beneath.Open(v.Root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	wanted := map[string]*Fact{}
	for _, f := range want {
		if f.Sum != nil && f.isRegular() && !f.Gone {
			wanted[f.Name()] = f
		}
	}
	for _, f := range have {
		w := wanted[f.Name()]
		if w == nil || f.state.Mode&unix.S_IFMT != unix.S_IFREG || !w.sameContent(f) {
			continue
		}
		if f.Sum, err = sum(dir, f.Name()); err != nil {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
	return nil
}

// sum returns the SHA-256 of a file's content.
func sum(dir *beneath.Dir, name string) ([]byte, error) {
	f, err := dir.File(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}
