package projection

import (
	"context"
	"fmt"
)

// Mark is a moment in the life of a fold; the zero mark is before all.
type Mark struct{ build, seq uint64 }

// trailed is how many of the last events of a stream are remembered at least.
const trailed = 4096

// trail is which subjects were folded lately, in the order of the stream.
type trail struct {
	build uint64
	// from is the sequence after which nothing is missing.
	from   uint64
	events []step
}

type step struct {
	seq     uint64
	subject string
}

// newTrail begins one with a fold that was just built or taken from a file; the
// caller holds mu.
func (s *State) newTrail(seq uint64) trail {
	s.builds++
	return trail{build: s.builds, from: seq}
}

// add appends what was folded and forgets the oldest.
func (t *trail) add(events []Event) {
	for _, ev := range events {
		t.events = append(t.events, step{ev.Seq, ev.Subject})
	}
	if len(t.events) < 2*trailed {
		return
	}
	old := len(t.events) - trailed
	t.from = t.events[old-1].seq
	t.events = append([]step(nil), t.events[old:]...)
}

// ViewSince reads the state, and tells do which subjects were folded after a
// mark, one as often as it was. They are not known when the fold was built anew
// since or the mark is too old. The mark returned is that of what do saw.
func (s *State) ViewSince(ctx context.Context, stream string, m Mark, do func(tx *Tx, subjects []string, known bool) error) (Mark, error) {
	var now Mark
	err := s.View(func(tx *Tx) error {
		c, err := readCursor(tx, stream)
		if err != nil {
			return err
		}
		if c == nil {
			return fmt.Errorf("cursor of %s: %w", stream, ErrDamaged)
		}
		// What is in the file is noted a moment later.
		if err := s.WaitFor(ctx, stream, c.Seq); err != nil {
			return err
		}
		subjects, build, known := s.since(stream, m, c.Seq)
		now = Mark{build: build, seq: c.Seq}
		return do(tx, subjects, known)
	})
	return now, err
}

// since returns what was folded after a mark up to a sequence.
func (s *State) since(stream string, m Mark, seq uint64) (subjects []string, build uint64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.streams[stream].trail
	if m.build != t.build || m.seq < t.from {
		return nil, t.build, false
	}
	for i := len(t.events) - 1; i >= 0 && t.events[i].seq > m.seq; i-- {
		if t.events[i].seq <= seq {
			subjects = append(subjects, t.events[i].subject)
		}
	}
	return subjects, t.build, true
}
