package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/luna-hpc/luna/pkg/durable"
	"github.com/luna-hpc/luna/pkg/fault"
)

// placing is a file that a restore will put where it belongs.
type placing struct {
	part     Part
	from, to string
}

// plan finds out which files are to be placed. It refuses when one is there
// already and differs; what is the same needs nothing.
func (r *Restore) plan(m *Manifest, staging string) ([]placing, error) {
	var todo []placing
	var differ []string
	for _, p := range m.Parts {
		if p.isStream() || p.Images && !r.Images {
			continue
		}
		to := r.path(p.Name)
		d, _, err := digestFile(to)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			todo = append(todo, placing{part: p, from: filepath.Join(staging, p.Name), to: to})
		case err != nil:
			return nil, fmt.Errorf("compare with the backup: %w", err)
		case d == p.Digest:
		case p.isOutbox():
			if p.Entries > 0 {
				r.Note(fmt.Sprintf("%s is there and stays; what waited in the backup's is left out, %d entries", to, p.Entries))
			}
		default:
			differ = append(differ, to)
		}
	}
	if len(differ) > 0 {
		return nil, fault.Conflictf("nothing was restored: these files are there and are not those of the backup: %s; stop Luna, move them away and try again", strings.Join(differ, ", "))
	}
	return todo, nil
}

// place puts a file where it belongs, whole or not at all, and overwrites none.
func (p placing) place() error {
	dirMode, mode := os.FileMode(0o755), os.FileMode(p.part.Mode)
	if p.part.isKey() {
		mode = 0o600
	}
	if strings.HasPrefix(p.part.Name, "data/") || strings.HasPrefix(p.part.Name, "etc/keys/") {
		dirMode = 0o700
	}
	err := os.MkdirAll(filepath.Dir(p.to), dirMode)
	if err == nil {
		err = os.Chmod(p.from, mode)
	}
	if err == nil {
		err = durable.Sync(p.from)
	}
	if err == nil {
		err = os.Link(p.from, p.to)
	}
	if errors.Is(err, syscall.EXDEV) {
		err = p.copy(mode)
	}
	if err == nil {
		err = durable.Sync(filepath.Dir(p.to))
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", p.to, err)
	}
	return nil
}

// copy places a file on another file system than the staging folder's.
func (p placing) copy(mode os.FileMode) error {
	from, err := os.Open(p.from)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := renameio.NewPendingFile(p.to, renameio.WithPermissions(mode), renameio.WithTempDir(filepath.Dir(p.to)))
	if err != nil {
		return err
	}
	defer to.Cleanup()
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	return to.CloseAtomicallyReplace()
}
