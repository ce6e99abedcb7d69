// Package report tells the head of each step of a boot, in order, also when the head is away for a while.
package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// limit is how many reports may wait. A node that fails for hours while its
// head is away keeps the oldest, which tell why.
const limit = 1000

// Spool is a folder of reports that the head does not have yet. Several
// processes may use one.
type Spool struct {
	// Dir is made when absent.
	Dir string
}

// errFull is returned when limit reports wait.
var errFull = fmt.Errorf("%d reports are waiting already", limit)

// Add puts one encoded report behind all that wait.
func (s Spool) Add(data []byte) error {
	unlock, err := s.lock("add.lock", 0)
	if err != nil {
		return err
	}
	defer unlock()
	names, err := s.list()
	if err != nil {
		return err
	}
	if len(names) >= limit {
		return errFull
	}
	next, err := s.next(names)
	if err != nil {
		return err
	}
	return s.put(next, data)
}

// next returns a number higher than any that was given out, also to reports
// that are sent by now.
func (s Spool) next(names []string) (int, error) {
	last := 0
	data, err := os.ReadFile(filepath.Join(s.Dir, "last"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read spool: %w", err)
	}
	for _, text := range append(names, string(data)) {
		var n int
		if _, err := fmt.Sscanf(text, "%d", &n); err == nil {
			last = max(last, n)
		}
	}
	return last + 1, nil
}

func (s Spool) put(n int, data []byte) error {
	part := filepath.Join(s.Dir, "part")
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return fmt.Errorf("spool report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "last"), fmt.Appendf(nil, "%d", n), 0o600); err != nil {
		return fmt.Errorf("spool report: %w", err)
	}
	if err := os.Rename(part, filepath.Join(s.Dir, fmt.Sprintf("%09d.json", n))); err != nil {
		return fmt.Errorf("spool report: %w", err)
	}
	return nil
}

// Drain calls send for each waiting report, the oldest first, and removes it
// when send returned nil. It stops at the first error. When another process
// drains already it does nothing.
func (s Spool) Drain(send func([]byte) error) error {
	unlock, err := s.lock("send.lock", unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	names, err := s.list()
	for ; err == nil && len(names) > 0; names, err = s.list() {
		for _, name := range names {
			if err := s.sendOne(name, send); err != nil {
				return err
			}
		}
	}
	return err
}

func (s Spool) sendOne(name string, send func([]byte) error) error {
	path := filepath.Join(s.Dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read spooled report: %w", err)
	}
	if err := send(data); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove sent report: %w", err)
	}
	return nil
}

// Mark names the reports that were added until now.
func (s Spool) Mark() (int, error) {
	names, err := s.list()
	if err != nil {
		return 0, err
	}
	next, err := s.next(names)
	return next - 1, err
}

// Drop takes away the waiting reports that were added after a mark.
func (s Spool) Drop(mark int) error {
	names, err := s.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(name, "%d", &n); err != nil || n <= mark {
			continue
		}
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil {
			return fmt.Errorf("drop report: %w", err)
		}
	}
	return nil
}

// Waiting returns how many reports wait.
func (s Spool) Waiting() (int, error) {
	names, err := s.list()
	return len(names), err
}

func (s Spool) list() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list spool: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s Spool) lock(name string, flags int) (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock spool: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|flags); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock spool: %w", err)
	}
	// Closing gives the lock back.
	return func() { f.Close() }, nil
}
