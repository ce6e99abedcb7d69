package bus_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
)

func TestSubjectsHaveTheirStreams(t *testing.T) {
	for subj, want := range map[string]string{
		subject.Object("node", "N"): subject.Inventory, subject.Release("O"): subject.Images, subject.Lease("020000000001"): subject.Seen,
		subject.SwitchMAC("S", "020000000001"): subject.Seen, subject.Step("B", "head", "1"): subject.Boots,
		subject.Secret("S"): subject.Secrets, subject.Job("power", "J"): subject.Jobs,
		"luna.evt.inventory": "", subject.Lease("") + "a.b": "", subject.Command("inventory", "node", "add"): "",
	} {
		if got := bus.StreamOf(subj); got != want {
			t.Errorf("%s: %q, not %q", subj, got, want)
		}
	}
}

// TestFullStreamRefusesAWholeBatch has a stream that one more batch does not fit into.
func TestFullStreamRefusesAWholeBatch(t *testing.T) {
	c := natstest.Start(t).Connect(t, "inventory")
	limitStream(t, c, subject.Inventory, 600)
	if _, err := bus.PublishBatch(within(t, 10*time.Second), c, batch("A", "B"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := bus.PublishBatch(within(t, 10*time.Second), c, batch("C", "D", "E", "F"), 2)
	if !errors.Is(err, bus.ErrFull) || !errors.Is(err, bus.ErrUncommitted) || errors.Is(err, bus.ErrFenced) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"stream INVENTORY is full", "600 bytes (max_bytes)", "nats stream edit INVENTORY"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q says nothing of %q", err, part)
		}
	}
	stream, err := c.JS.Stream(within(t, 10*time.Second), subject.Inventory)
	if err != nil || stream.CachedInfo().State.LastSeq != 2 {
		t.Fatalf("%v: the stream ends at %d", err, stream.CachedInfo().State.LastSeq)
	}
	if _, err := c.JS.Publish(within(t, 10*time.Second), subject.Lease("020000000001"), []byte("{}")); err != nil {
		t.Errorf("another stream does not go on: %v", err)
	}
	limitStream(t, c, subject.Inventory, 1<<20)
	if _, err := bus.PublishBatch(within(t, 10*time.Second), c, batch("C", "D", "E", "F"), 2); err != nil {
		t.Error(err)
	}
}

// limitStream sets how many bytes a stream may hold.
func limitStream(t *testing.T, c *bus.Conn, name string, bytes int64) {
	t.Helper()
	s, err := c.JS.Stream(within(t, 10*time.Second), name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := c.JS.UpdateStream(within(t, 10*time.Second), cfg); err != nil {
		t.Fatal(err)
	}
}
