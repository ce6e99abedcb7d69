package boot_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func startTask(t *testing.T, tasks ...run.Task) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run.NewGroup("test", tasks...).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func openState(t *testing.T, c *bus.Conn) *projection.State {
	t.Helper()
	s, err := projection.Open(filepath.Join(t.TempDir(), "state.db"), c, quiet, boot.Fold())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// openBook starts a book of head h on a bus.
func openBook(t *testing.T, c *bus.Conn) (*boot.Book, *projection.State) {
	t.Helper()
	return openBookAt(t, c, time.Now)
}

// openBookAt starts a book with a clock of the test's.
func openBookAt(t *testing.T, c *bus.Conn, now func() time.Time) (*boot.Book, *projection.State) {
	t.Helper()
	s := openState(t, c)
	out, err := outbox.Open(filepath.Join(t.TempDir(), "outbox.db"), c, quiet, s.WaitFor)
	if err != nil {
		t.Fatal(err)
	}
	b, err := boot.Open(s, out, "h", now)
	if err != nil {
		t.Fatal(err)
	}
	startTask(t, s, out, b)
	if err := s.WaitFor(within(t), subject.Boots, 0); err != nil {
		t.Fatal(err)
	}
	return b, s
}

func step(id, node, name string) *bootscriptv1.Step {
	return &bootscriptv1.Step{BootId: id, NodeId: node, Node: node, By: boot.ByAddress, Report: &bootscriptv1.Report{Name: name, State: ok}}
}

func TestStepsOfManyAtOnceHaveNumbersOfTheirOwn(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	b, s := openBook(t, c)
	id := bus.NewID()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			r := step(id, "n", "install.unpack")
			r.Report.Id = fmt.Sprint(i / 2) // each is sent twice at the same time
			if err := b.Keep(r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var steps []*bootscriptv1.Step
	if err := s.View(func(tx *projection.Tx) (err error) { steps, err = b.Steps(tx, id); return err }); err != nil {
		t.Fatal(err)
	}
	numbers := map[uint64]bool{}
	for _, s := range steps {
		numbers[s.N] = true
	}
	if len(steps) != 20 || len(numbers) != 20 || !numbers[1] || !numbers[20] {
		t.Fatalf("%d steps, numbers %v", len(steps), numbers)
	}
	if err := s.WaitFor(within(t), subject.Boots, 20); err != nil {
		t.Fatal(err)
	}
}

func TestABootIsOneNodes(t *testing.T) {
	b, s := openBook(t, natstest.Start(t).Connect(t, "test"))
	id := bus.NewID()
	if err := b.Keep(step(id, "n", boot.Request)); err != nil {
		t.Fatal(err)
	}
	if err := b.Keep(step(id, "m", boot.Request)); fault.KindOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	old := ulid.MustNew(ulid.Timestamp(time.Now().Add(-48*time.Hour)), ulid.DefaultEntropy()).String()
	err := s.View(func(tx *projection.Tx) error {
		for id, kind := range map[string]fault.Kind{old: fault.Conflict, "x": fault.Invalid} {
			if err := b.Admits(tx, "n", id); fault.KindOf(err) != kind || err == nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		if err := b.Admits(tx, "n", bus.NewID()); err != nil {
			t.Error(err)
		}
		return b.Admits(tx, "n", id)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, c *bus.Conn, s *bootscriptv1.Step) uint64 {
	t.Helper()
	data, err := wire.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	ack, err := c.JS.Publish(within(t), boot.Subject(s), data)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

func contents(t *testing.T, s *projection.State, seq uint64) map[string]string {
	t.Helper()
	if err := s.WaitFor(within(t), subject.Boots, seq); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err := s.View(func(tx *projection.Tx) error {
		for _, bucket := range boot.Fold().Buckets {
			if err := tx.Each(bucket, "", "", func(k string, v []byte) bool { got[bucket+" "+k] = string(v); return true }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRebuildEqualsKeptStateAndOldBootsGo(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	kept := openState(t, c)
	startTask(t, kept)
	contents(t, kept, 0)
	old := ulid.MustNew(ulid.Timestamp(time.Now().Add(-91*24*time.Hour)), ulid.DefaultEntropy()).String()
	id := bus.NewID()
	var seq uint64
	for i := range 5 {
		for head, boot := range map[string]string{"h": id, "other": id, "gone": old} {
			s := step(boot, "n", "install.unpack")
			s.Head, s.N = head, uint64(i+1)
			seq = publish(t, c, s)
		}
	}
	wrong := step(id, "n", "install.unpack")
	wrong.Head, wrong.N = "h", 9
	data, _ := wire.Marshal(wrong)
	ack, err := c.JS.Publish(within(t), subject.Step(id, "h", "10"), data)
	if err != nil {
		t.Fatal(err)
	}
	wrong.N = 6
	seq = max(seq, ack.Sequence, publish(t, c, wrong))
	fresh := openState(t, c)
	startTask(t, fresh)
	a, b := contents(t, kept, seq), contents(t, fresh, seq)
	if !maps.Equal(a, b) || len(a) != 5+5+1+1 {
		t.Fatalf("kept %d, fresh %d entries", len(a), len(b))
	}
}
