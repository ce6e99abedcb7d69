package bus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
)

func batch(names ...string) (msgs []*nats.Msg) {
	for _, n := range names {
		msgs = append(msgs, &nats.Msg{Subject: subject.Object("node", n), Data: []byte("{}")})
	}
	return msgs
}

func TestBatchIsStoredOnlyAtItsPlace(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "inventory")
	last := func() uint64 {
		t.Helper()
		s, err := c.JS.Stream(within(t, 10*time.Second), subject.Inventory)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.LastSeq
	}
	for _, step := range []struct {
		name     string
		msgs     []*nats.Msg
		expected uint64
		seq      uint64
		err      error
	}{
		{"first", batch("A", "B"), 0, 2, nil},
		{"the same again", batch("A", "B"), 0, 0, bus.ErrFenced},
		{"too early", batch("C", "D"), 3, 0, bus.ErrFenced},
		{"next", batch("C", "D", "E"), 2, 5, nil},
		{"one message, too late", batch("F"), 2, 0, bus.ErrFenced},
		{"one message", batch("F"), 5, 6, nil},
		{"nothing", nil, 6, 0, bus.ErrUncommitted},
		{"too much", make([]*nats.Msg, bus.MaxBatch+1), 6, 0, bus.ErrUncommitted},
	} {
		before := last()
		seq, err := bus.PublishBatch(within(t, 10*time.Second), c, step.msgs, step.expected)
		if seq != step.seq || !errors.Is(err, step.err) {
			t.Errorf("%s: %d, %v, want %d, %v", step.name, seq, err, step.seq, step.err)
		}
		if want := max(before, step.seq); last() != want {
			t.Errorf("%s: the stream ends at %d, not %d", step.name, last(), want)
		}
	}
}

func TestBatchWithoutABusIsUncommitted(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "inventory")
	if _, err := bus.PublishBatch(within(t, 10*time.Second), c, batch("A", "B"), 0); err != nil {
		t.Fatal(err)
	}
	srv.Stop()
	ctx := within(t, time.Second)
	_, err := bus.PublishBatch(ctx, c, batch("C", "D"), 2)
	if !errors.Is(err, bus.ErrUncommitted) || errors.Is(err, bus.ErrFenced) {
		t.Errorf("got %v", err)
	}
}
