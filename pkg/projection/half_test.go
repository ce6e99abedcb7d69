package projection_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// objects returns a batch of n messages of 5,000 bytes.
func objects(n int, letter string) (msgs []*nats.Msg) {
	for i := range n {
		msgs = append(msgs, &nats.Msg{Subject: subject.Object("node", fmt.Sprint(i)), Data: []byte(strings.Repeat(letter, 5000))})
	}
	return msgs
}

// TestBatchOnAFullDiskIsNeverSeenInPart has a server run out of disk at
// different places of a batch: a server that has staged all of it may have
// stored a part when the disk is full, and stores the rest at its next start.
func TestBatchOnAFullDiskIsNeverSeenInPart(t *testing.T) {
	halves := 0
	for _, free := range []int64{16, 72, 96, 256} {
		t.Run(fmt.Sprintf("%d kB left", free), func(t *testing.T) {
			if fillUp(t, free<<10) {
				halves++
			}
		})
	}
	if halves == 0 && !t.Failed() {
		t.Error("no batch was stored in part: nothing was proved")
	}
}

func fillUp(t *testing.T, free int64) (half bool) {
	disk := testenv.SmallDisk(t, "32m")
	srv := natstest.StartOn(t, disk.Dir)
	c := srv.Connect(t, "test")
	dir := t.TempDir()
	if _, err := bus.PublishBatch(ctx(t), c, objects(3, "a"), 0); err != nil {
		t.Fatal(err)
	}
	s := start(t, c, filepath.Join(dir, "kept.db"), copyFold(1))
	before := s.contents(t, 3)
	disk.Fill(free)
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, stored := bus.PublishBatch(short, c, objects(10, "b"), 3)
	stream, err := c.JS.Stream(ctx(t), subject.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	if half = last > 3 && last < 13; half {
		if err := s.WaitFor(ctx(t), subject.Inventory, last); err == nil || !strings.Contains(err.Error(), "ends inside a change") {
			t.Errorf("half a batch is there: %v", err)
		}
		if got := s.contents(t, 3); !maps.Equal(got, before) {
			t.Error("half a batch is seen")
		}
		if a := s.Ages()[0]; a.Live || !strings.Contains(a.Trouble, "restart it") {
			t.Errorf("the age says nothing: %+v", a)
		}
	}
	disk.Clear()
	srv.Restart(t, nil)
	if err := awaitUp(t, c); err != nil {
		t.Fatal(err)
	}
	seq := publish(t, c, "after", "c")
	if want := uint64(14); (stored == nil || half) && seq != want {
		t.Errorf("stored: %v, half %v, but the next message is %d, not %d", stored, half, seq, want)
	}
	if errors.Is(stored, bus.ErrUncommitted) && seq != 4 {
		t.Errorf("uncommitted, but the next message is %d", seq)
	}
	fresh := start(t, c, filepath.Join(dir, "fresh.db"), copyFold(1))
	if !maps.Equal(s.contents(t, seq), fresh.contents(t, seq)) {
		t.Error("the kept state differs from a fresh one")
	}
	return half
}

// awaitUp waits until the bus answers again.
func awaitUp(t *testing.T, c *bus.Conn) error {
	t.Helper()
	for until := ctx(t); ; {
		short, cancel := context.WithTimeout(until, time.Second)
		_, err := c.JS.Stream(short, subject.Inventory)
		cancel()
		if err == nil || until.Err() != nil {
			return err
		}
	}
}

// TestTrimmedBatchEnds has the last messages of a batch taken out of the stream.
func TestTrimmedBatchEnds(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	if _, err := bus.PublishBatch(ctx(t), c, objects(3, "a"), 0); err != nil {
		t.Fatal(err)
	}
	stream, err := c.JS.Stream(ctx(t), subject.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(ctx(t), 3); err != nil {
		t.Fatal(err)
	}
	s := start(t, c, filepath.Join(t.TempDir(), "s.db"), copyFold(1))
	if got := s.contents(t, 3); len(got) != 2 {
		t.Errorf("%d objects", len(got))
	}
}
