package projection_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
)

// news returns what was folded after a mark, sorted, and the mark of now.
func (r running) news(t *testing.T, m projection.Mark) (subjects []string, known bool, now projection.Mark) {
	t.Helper()
	now, err := r.ViewSince(ctx(t), subject.Inventory, m, func(_ *projection.Tx, s []string, k bool) error {
		subjects, known = slices.Sorted(slices.Values(s)), k
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return subjects, known, now
}

func TestSinceTellsWhatWasFolded(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	path := filepath.Join(t.TempDir(), "s.db")
	s := start(t, c, path, copyFold(1))
	s.contents(t, publish(t, c, "1", "a"))
	_, known, mark := s.news(t, projection.Mark{})
	if known {
		t.Error("all is known since before the first fold")
	}
	if all, known, _ := s.news(t, mark); !known || len(all) != 0 {
		t.Errorf("%q, %t since now", all, known)
	}
	publish(t, c, "2", "b")
	publish(t, c, "1", "")
	last := publish(t, c, "2", "c")
	s.contents(t, last)
	all, known, later := s.news(t, mark)
	if want := []string{subject.Object("node", "1"), subject.Object("node", "2"), subject.Object("node", "2")}; !known || !slices.Equal(all, want) {
		t.Errorf("%q, %t", all, known)
	}
	seq, err := bus.PublishBatch(ctx(t), c, batchOf(10000, "x"), last) // more than is remembered
	if err != nil {
		t.Fatal(err)
	}
	s.contents(t, seq)
	if all, known, _ := s.news(t, later); known {
		t.Errorf("%d of 10000 are said to be all", len(all))
	}
	s.stop()
	again := start(t, c, path, copyFold(1))
	again.contents(t, seq)
	_, _, mark = again.news(t, projection.Mark{})
	again.contents(t, publish(t, c, "3", "d"))
	if all, known, _ := again.news(t, mark); !known || !slices.Equal(all, []string{subject.Object("node", "3")}) {
		t.Errorf("after a restart: %q, %t", all, known)
	}
}

// TestSinceKnowsAnotherBuild makes the stream anew and longer than it was.
func TestSinceKnowsAnotherBuild(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	s := start(t, c, filepath.Join(t.TempDir(), "s.db"), copyFold(1))
	s.contents(t, publish(t, c, "1", "a"))
	_, _, mark := s.news(t, projection.Mark{})
	if err := c.JS.DeleteStream(ctx(t), subject.Inventory); err != nil {
		t.Fatal(err)
	}
	if err := bus.Setup(ctx(t), c.JS, 1); err != nil {
		t.Fatal(err)
	}
	publish(t, c, "2", "b")
	publish(t, c, "3", "c")
	for changed := s.Changed(); s.contents(t, 0)[subject.Object("node", "3")] == ""; changed = s.Changed() {
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatal("the new stream was never read")
		}
	}
	if all, known, _ := s.news(t, mark); known {
		t.Errorf("%q are said to be all that is new in another stream", all)
	}
}
