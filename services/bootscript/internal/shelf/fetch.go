package shelf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/durable"
	"github.com/luna-hpc/luna/pkg/projection"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

const (
	// partly marks a file that is being fetched.
	partly = ".part"
	// pause is how long a failed fetch waits before the next.
	pause = 3 * time.Second
)

// Run makes the folder match the kept releases until ctx ends.
func (s *Shelf) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		changed := s.state.Changed()
		err := s.Match(ctx)
		s.note(ctx, err)
		var again <-chan time.Time
		if err != nil {
			again = time.After(pause)
			changed = nil // not once more for every change while the store is away
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-again:
		}
	}
	return nil
}

// note logs trouble once.
func (s *Shelf) note(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && ctx.Err() == nil && (s.failed == nil || s.failed.Error() != err.Error()) {
		s.log.Warn("released files are not all here", "waiting", s.waiting, "err", err)
	}
	s.failed = err
}

// Match fetches what is missing, current releases first, and removes what no
// kept release names. It may run any number of times.
func (s *Shelf) Match(ctx context.Context) error {
	wanted, err := s.wanted()
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	var absent []string
	for _, name := range wanted {
		if !keep[name] && !s.has(name) {
			absent = append(absent, name)
		}
		keep[name] = true
	}
	var errs []error
	for i, name := range absent {
		s.count(len(absent) - i + len(errs))
		if err := s.fetch(ctx, name); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	s.count(len(errs))
	return errors.Join(append(errs, s.sweep(keep))...)
}

// wanted lists the files of all kept releases, those of current ones first.
func (s *Shelf) wanted() ([]string, error) {
	var current, others []string
	err := s.state.View(func(tx *projection.Tx) error {
		return each(tx, func(all *imagepackerv1.Releases) {
			for _, r := range all.Releases {
				if r.Manifest == all.Current {
					current = append(current, files(r)...)
				} else {
					others = append(others, files(r)...)
				}
			}
		})
	})
	return append(current, others...), err
}

func (s *Shelf) count(waiting int) {
	s.mu.Lock()
	s.waiting = waiting
	s.mu.Unlock()
	s.changed(waiting)
}

// fetch copies one file, checks its digest and only then gives it its name.
func (s *Shelf) fetch(ctx context.Context, name string) (err error) {
	part := filepath.Join(s.dir, name+partly)
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("fetch released file: %w", err)
	}
	h := sha256.New()
	if err = s.store.Copy(ctx, name, io.MultiWriter(f, h)); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if got := hex.EncodeToString(h.Sum(nil)); err == nil && got != name {
		err = fmt.Errorf("its digest is %s", got)
	}
	if err == nil {
		err = os.Rename(part, filepath.Join(s.dir, name))
	}
	if err != nil {
		_ = os.Remove(part) // the next sweep finds it as well
		return fmt.Errorf("fetch released file %s: %w", name, err)
	}
	if err := durable.Sync(s.dir); err != nil {
		return fmt.Errorf("fetch released file %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have[name] = true
	s.log.Info("released file fetched", "file", name)
	return nil
}

// sweep removes files that no kept release names, and what a stopped fetch left.
func (s *Shelf) sweep(keep map[string]bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list released files: %w", err)
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		if keep[name] || !isName(strings.TrimSuffix(name, partly)) {
			continue
		}
		s.mu.Lock()
		delete(s.have, name)
		s.mu.Unlock()
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			errs = append(errs, fmt.Errorf("remove released file: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Ready is nil: the service works with the releases that it has.
func (s *Shelf) Ready() error { return nil }

// String returns "files".
func (s *Shelf) String() string { return "files" }
