package bus

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// IDs makes ULIDs that increase, also while its clock goes back.
type IDs struct {
	now func() time.Time

	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64 // milliseconds of the last one
}

// NewIDs returns a source of ids with a clock.
func NewIDs(now func() time.Time) *IDs {
	return &IDs{now: now, entropy: ulid.Monotonic(rand.Reader, 0)}
}

// Next returns an id that is greater than all before it.
func (s *IDs) Next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, ulid.Timestamp(s.now()))
	id, err := ulid.New(s.last, s.entropy)
	for err != nil { // no greater one is left in this millisecond
		s.last++
		id, err = ulid.New(s.last, s.entropy)
	}
	return id.String()
}

// After returns an id that is greater than another, which may be one of a clock
// that was ahead.
func (s *IDs) After(other string) string {
	id := s.Next()
	o, err := ulid.ParseStrict(other)
	if err != nil || id > other {
		return id
	}
	return ulid.MustNew(o.Time()+1, rand.Reader).String()
}

var ids = NewIDs(time.Now)

// NewID returns a ULID; those of a process increase.
func NewID() string { return ids.Next() }

// NewIDAfter returns a ULID that is greater than another.
func NewIDAfter(other string) string { return ids.After(other) }
