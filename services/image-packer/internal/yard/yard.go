// Package yard makes directories whole or not at all.
package yard

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/bus"
)

// half ends the name of a directory that is not whole yet.
const half = ".luna-half"

// Yard remembers which directories are being made, and which were made and are nobody's yet, so that what was killed is
// found.
type Yard struct{ notes string }

// Open returns the yard that keeps its notes in a directory, after it removed what was left half made. What cannot be
// removed is logged; its note stays, for the next Open.
func Open(notes string, log *slog.Logger) (*Yard, error) {
	if err := os.MkdirAll(notes, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	files, err := os.ReadDir(notes)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := forget(filepath.Join(notes, f.Name())); err != nil {
			log.Warn("what was left half made cannot be removed now; it is tried again at the next start", "note", f.Name(), "err", err)
		}
	}
	return &Yard{notes}, nil
}

// forget removes what a note names and is half made, then the note. The note of a directory that was made whole stays while
// that is there, and each note while the place of the directory is away, as a file system that is not mounted.
func forget(file string) error {
	n, err := readNote(file)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(n.half) || !strings.HasSuffix(n.half, half) {
		return os.Remove(file) // written in part: then nothing was made yet
	}
	if _, err := os.Stat(filepath.Dir(n.half)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(n.half); err != nil {
		return err
	}
	if n.isWhole() {
		return nil
	}
	return os.Remove(file)
}

// Make makes the directory to, which does not exist or is empty. fill makes its content in an empty directory beside
// it, which becomes to when fill returns nil; it is an orphan then until Own. Whatever happens else, nothing is left: at
// the latest Open removes it.
func (y *Yard) Make(to string, fill func(dir string) error) (err error) {
	dir := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+half)
	file := filepath.Join(y.notes, bus.NewID())
	if err := (note{half: dir}).write(file); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	defer func() { err = errors.Join(err, forget(file)) }()
	if err := fill(dir); err != nil {
		return err
	}
	if err := settle(dir); err != nil {
		return err
	}
	if err := (note{half: dir, inode: inodeOf(dir)}).write(file); err != nil {
		return err
	}
	if err := unix.Rename(dir, to); err != nil { // os.Rename takes no place of an empty directory
		return &os.LinkError{Op: "rename", Old: dir, New: to, Err: err}
	}
	return nil
}

// settle brings all of a directory to the disk, so that it is whole after a power cut too.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", dir, err), f.Close())
	}
	return f.Close()
}
