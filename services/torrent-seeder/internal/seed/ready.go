package seed

import (
	"context"
	"errors"
	"fmt"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// note keeps an error for Ready and logs it once.
func (s *Seed) note(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && ctx.Err() == nil && (s.failed == nil || s.failed.Error() != err.Error()) {
		s.o.Log.Warn("not every release is seeded", "err", err)
	}
	s.failed = err
}

func (s *Seed) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Ready is nil when every current release is offered whole.
func (s *Seed) Ready() error {
	if err := s.lastError(); err != nil {
		return err
	}
	seeder := s.Seeder()
	if seeder == nil {
		return errors.New("the BitTorrent port is not open yet")
	}
	offered := map[swarm.InfoHash]swarm.SeededTorrent{}
	for _, t := range seeder.Torrents() {
		offered[t.InfoHash] = t
	}
	var errs []error
	for _, t := range s.now.Load().torrents {
		if o := offered[t.InfoHash]; t.Release.Current && o.Offered < o.Size {
			errs = append(errs, fmt.Errorf("%s: %d of %d bytes are offered", t.Release, o.Offered, o.Size))
		}
	}
	return errors.Join(errs...)
}

// String returns "seed".
func (s *Seed) String() string { return "seed" }
