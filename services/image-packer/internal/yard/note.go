package yard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// note is what a yard remembers of one directory.
type note struct {
	// half is where it is made.
	half string
	// inode is that of the directory when it is whole and gets its name; 0 before.
	inode uint64
}

func readNote(file string) (n note, err error) {
	data, err := os.ReadFile(file)
	name, inode, whole := strings.Cut(string(data), "\x00")
	if n.half = name; whole {
		n.inode, _ = strconv.ParseUint(inode, 10, 64) // 0 is none
	}
	return n, err
}

func (n note) write(file string) error {
	text := n.half
	if n.inode != 0 {
		text += "\x00" + strconv.FormatUint(n.inode, 10)
	}
	if err := renameio.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("note %s: %w", n.half, err)
	}
	return nil
}

// to is the name of the directory when it is whole.
func (n note) to() string {
	base := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(n.half), "."), half)
	return filepath.Join(filepath.Dir(n.half), base)
}

// isWhole tells whether the directory that was made is there under its name, and not another one.
func (n note) isWhole() bool { return n.inode != 0 && inodeOf(n.to()) == n.inode }

// inodeOf returns the inode of what a name is, 0 for nothing.
func inodeOf(name string) uint64 {
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil {
		return 0
	}
	return st.Ino
}

// Orphans returns the directories that were made whole and that Own was not told of: whoever made them was killed before
// anybody knew of them.
func (y *Yard) Orphans() (all []string, err error) {
	err = y.each(func(_ string, n note) error {
		if n.isWhole() {
			all = append(all, n.to())
		}
		return nil
	})
	return all, err
}

// Own forgets that a directory was made: somebody knows of it, or it is gone again.
func (y *Yard) Own(to string) error {
	return y.each(func(file string, n note) error {
		if n.inode != 0 && n.to() == filepath.Clean(to) {
			return os.Remove(file)
		}
		return nil
	})
}

// each calls do for all notes.
func (y *Yard) each(do func(file string, n note) error) error {
	files, err := filepath.Glob(filepath.Join(y.notes, "*"))
	for _, f := range files {
		n, bad := readNote(f)
		switch {
		case errors.Is(bad, os.ErrNotExist): // it went meanwhile
		case bad != nil:
			err = errors.Join(err, bad)
		default:
			err = errors.Join(err, do(f, n))
		}
	}
	return err
}
