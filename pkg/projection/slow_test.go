package projection_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
)

// TestSlowFollowerEndsRight has one state stand still while thousands of changes
// come, more than the stream keeps, until the server gives its consumer up; the
// others are not held up by it.
func TestSlowFollowerEndsRight(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	dir := t.TempDir()
	stands, goes := make(chan struct{}), make(chan struct{})
	slowly := copyFold(1)
	apply, once := slowly.Apply, sync.Once{}
	slowly.Apply = func(tx *projection.Tx, ev projection.Event) error {
		once.Do(func() { close(stands); <-goes })
		return apply(tx, ev)
	}
	slow := start(t, c, filepath.Join(dir, "slow.db"), slowly)
	quick := start(t, c, filepath.Join(dir, "quick.db"), copyFold(1))
	seq := rounds(t, c, 0, 1)
	<-stands
	seq = rounds(t, c, seq, 100)
	got := quick.contents(t, seq)
	if revision, _ := slow.Revision(subject.Inventory); revision != 0 {
		t.Errorf("the slow state is at %d: it did not stand still", revision)
	}
	giveUp(t, c)
	close(goes)
	fresh := start(t, c, filepath.Join(dir, "fresh.db"), copyFold(1)).contents(t, seq)
	if !maps.Equal(slow.contents(t, seq), fresh) || !maps.Equal(quick.contents(t, seq), fresh) || !maps.Equal(got, fresh) {
		t.Error("the states differ")
	}
	seq = rounds(t, c, seq, 1)
	if !maps.Equal(slow.contents(t, seq), quick.contents(t, seq)) {
		t.Error("the states differ later")
	}
}

// rounds changes 50 objects in one batch each time, and deletes one of them.
func rounds(t *testing.T, c *bus.Conn, seq uint64, n int) uint64 {
	t.Helper()
	for round := range n {
		var msgs []*nats.Msg
		for i := range 50 {
			m := &nats.Msg{Subject: subject.Object("node", fmt.Sprint(i)), Data: fmt.Appendf(nil, "round %d after %d", round, seq)}
			if i == round%50 {
				m.Data = nil
			}
			msgs = append(msgs, m)
		}
		var err error
		if seq, err = bus.PublishBatch(ctx(t), c, msgs, seq); err != nil {
			t.Fatal(err)
		}
	}
	return seq
}

// giveUp deletes all consumers, as the server does with one that asks for nothing.
func giveUp(t *testing.T, c *bus.Conn) {
	t.Helper()
	stream, err := c.JS.Stream(ctx(t), subject.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	names := stream.ConsumerNames(ctx(t))
	var all []string
	for n := range names.Name() {
		all = append(all, n)
	}
	if names.Err() != nil || len(all) < 2 {
		t.Fatalf("%d consumers, %v", len(all), names.Err())
	}
	for _, n := range all {
		if err := stream.DeleteConsumer(ctx(t), n); err != nil {
			t.Fatal(err)
		}
	}
}
