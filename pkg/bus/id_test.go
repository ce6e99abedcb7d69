package bus_test

import (
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/luna-hpc/luna/pkg/bus"
)

// jumps are those of a clock that a server must stand.
var jumps = []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour}

func TestIDsIncreaseWhileTheClockJumps(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ids := bus.NewIDs(func() time.Time { return now })
	last := ""
	for _, jump := range append(jumps, 0, -24*time.Hour, time.Millisecond) {
		now = now.Add(jump)
		for range 1000 {
			id := ids.Next()
			if _, err := ulid.ParseStrict(id); err != nil || id <= last {
				t.Fatalf("after a jump of %v: %s comes after %s, %v", jump, id, last, err)
			}
			last = id
		}
	}
	ahead := bus.NewIDs(func() time.Time { return now.Add(24 * time.Hour) }).Next()
	if id := ids.After(ahead); id <= ahead {
		t.Errorf("%s is not after %s", id, ahead)
	}
	if id := ids.After(""); id <= last {
		t.Errorf("%s is not after %s", id, last)
	}
}

func TestIDsOfManyAreUnique(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			last := ""
			for range 2000 {
				id := bus.NewID()
				mu.Lock()
				if seen[id] || id <= last {
					t.Errorf("%s comes after %s, seen before: %v", id, last, seen[id])
				}
				seen[id], last = true, id
				mu.Unlock()
			}
		})
	}
	all.Wait()
}
