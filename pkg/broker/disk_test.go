package broker_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// TestFullDiskIsHealed fills the disk of the bus: it says that it cannot store,
// and stores again once there is room, without being restarted by anybody.
func TestFullDiskIsHealed(t *testing.T) {
	disk := testenv.SmallDisk(t, "32m")
	b, c := onDisk(t, filepath.Join(disk.Dir, "nats"))
	if _, err := bus.PublishBatch(short(t, 10*time.Second), c, nodes(3), 0); err != nil {
		t.Fatal(err)
	}
	disk.Fill(96 << 10) // what is staged fits, what is stored does not
	_, err := bus.PublishBatch(short(t, 2*time.Second), c, nodes(10), 3)
	if err == nil || errors.Is(err, bus.ErrUncommitted) || !strings.Contains(err.Error(), "is its disk full?") {
		t.Fatalf("a full disk gives %v", err)
	}
	until(t, "it says what is wrong", func() error {
		if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), "no space left") {
			return fmt.Errorf("ready says %w", err)
		}
		return nil
	})
	disk.Clear()
	until(t, "it is ready", b.Ready)
	until(t, "the connection is back", c.Up)
	stream, err := c.JS.Stream(short(t, 10*time.Second), subject.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	if last != 3 && last != 13 {
		t.Errorf("the stream ends inside a change, at %d", last)
	}
	if _, err := bus.PublishBatch(short(t, 10*time.Second), c, nodes(3), last); err != nil {
		t.Error(err)
	}
}

// onDisk starts a bus on a directory, and connects as the inventory.
func onDisk(t *testing.T, dir string) (*broker.Broker, *bus.Conn) {
	t.Helper()
	keys := t.TempDir()
	public, err := broker.Keys(keys)
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(broker.Options{Listen: "127.0.0.1:0", Store: dir, Public: public, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := bus.SetupWhenUp(short(t, 20*time.Second), connect(t, b.ClientURL(), keys, "setup"), 1); err != nil {
		t.Fatal(err)
	}
	return b, connect(t, b.ClientURL(), keys, "inventory")
}

func nodes(n int) (msgs []*nats.Msg) {
	for i := range n {
		msgs = append(msgs, &nats.Msg{Subject: subject.Object("node", fmt.Sprint(i)), Data: make([]byte, 5000)})
	}
	return msgs
}

func short(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// until waits for a condition.
func until(t *testing.T, what string, is func() error) {
	t.Helper()
	for ctx := short(t, 30*time.Second); ; {
		err := is()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
