package swarm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// finish compares a written segment with the digest that is its name, then gives it that name.
func (s *store) finish(seg int) error {
	got, err := s.sum256(seg)
	if err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	if got != s.segments[seg].hex {
		return &wrongSegment{hex: s.segments[seg].hex, got: got}
	}
	return s.seal(seg)
}

// hasPart tells whether there is something of a segment from before.
func (s *store) hasPart(seg int) bool {
	st, err := os.Stat(s.partPath(seg))
	return err == nil && st.Size() > s.base(seg)
}

// trimPart cuts off what an earlier life wrote beyond a segment's size.
func (s *store) trimPart(seg int) error {
	if s.joined != "" {
		return nil // the next one begins there
	}
	st, err := os.Stat(s.partPath(seg))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at segment: %w", err)
	}
	if st.Size() <= s.segments[seg].size {
		return nil
	}
	if err := os.Truncate(s.partPath(seg), s.segments[seg].size); err != nil {
		return fmt.Errorf("trim segment: %w", err)
	}
	return nil
}

// reopen takes the name from a segment that an earlier run has finished.
func (s *store) reopen(seg int) error {
	if s.joined != "" {
		return nil
	}
	if err := os.Rename(s.path(seg), s.partPath(seg)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// discard forgets a written segment, so that it is fetched again.
func (s *store) discard(seg int) {
	for i := range s.segments[seg].count {
		s.markMissing(s.segments[seg].first + i)
	}
}

// wrongSegment is a segment whose pieces are those of the torrent, but whose digest is another.
type wrongSegment struct{ hex, got string }

// Error names the segment.
func (e *wrongSegment) Error() string {
	return fmt.Sprintf("segment %s: SHA-256 is %s", e.hex, e.got)
}
