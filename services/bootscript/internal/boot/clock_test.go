package boot_test

import (
	"slices"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
)

// TestStepsKeepTheirOrderWhileTheClockJumps has the head's clock jump between
// the steps of a boot.
func TestStepsKeepTheirOrderWhileTheClockJumps(t *testing.T) {
	now := time.Now()
	b, s := openBookAt(t, natstest.Start(t).Connect(t, "test"), func() time.Time { return now })
	id := bus.NewID()
	want := []string{"one", "two", "three", "four", "five"}
	for i, jump := range []time.Duration{0, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
		now = now.Add(jump)
		if err := b.Keep(step(id, "n", want[i])); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err := s.View(func(tx *projection.Tx) error {
		steps, err := b.Steps(tx, id)
		for _, st := range steps {
			got = append(got, st.Report.Name)
		}
		return err
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("steps %q, %v", got, err)
	}
}

// TestBootAfterAClockThatWasAhead begins a boot when the node's last one was
// begun by a clock that was ahead: the new one is the newest, and its token is
// not worth nothing.
func TestBootAfterAClockThatWasAhead(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, 24 * time.Hour} {
		b, s := openBook(t, natstest.Start(t).Connect(t, "test"))
		old := bus.NewIDs(func() time.Time { return time.Now().Add(ahead) }).Next()
		began := step(old, "n", boot.Request)
		began.By = boot.ByExchange
		if err := b.Keep(began); err != nil {
			t.Fatal(err)
		}
		for _, armed := range []bool{true, false} {
			var id string
			view(t, s, func(tx *projection.Tx) (err error) {
				var fresh bool
				if id, fresh, err = b.ForDiscovery(tx, "n", armed); err == nil && !fresh {
					t.Errorf("%v ahead, armed %v: the old boot goes on", ahead, armed)
				}
				return err
			})
			next := step(id, "n", boot.Request)
			if armed {
				next.By = boot.ByExchange
			}
			if err := b.Keep(next); err != nil {
				t.Fatal(err)
			}
			view(t, s, func(tx *projection.Tx) error {
				current, _, err := b.Current(tx, "n")
				if err != nil || current != id {
					t.Errorf("%v ahead: the current boot is %s, not %s, %v", ahead, current, id, err)
				}
				over, err := b.Over(tx, "n", id)
				if over {
					t.Errorf("%v ahead: the new boot is over", ahead)
				}
				return err
			})
		}
	}
}

func view(t *testing.T, s *projection.State, do func(tx *projection.Tx) error) {
	t.Helper()
	if err := s.View(do); err != nil {
		t.Fatal(err)
	}
}

// TestReportOfABootOfAnotherClockIsTaken speaks of a boot that this head has not
// heard of, begun by a head whose clock differs.
func TestReportOfABootOfAnotherClockIsTaken(t *testing.T) {
	b, s := openBook(t, natstest.Start(t).Connect(t, "test"))
	for _, off := range []time.Duration{time.Hour, -time.Hour, 24*time.Hour - time.Minute, -24*time.Hour + time.Minute} {
		id := bus.NewIDs(func() time.Time { return time.Now().Add(off) }).Next()
		if err := s.View(func(tx *projection.Tx) error { return b.Admits(tx, "n", id) }); err != nil {
			t.Errorf("%v off: %v", off, err)
		}
	}
}
