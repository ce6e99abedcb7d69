package outbox_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
)

func open(t *testing.T, path string, c *bus.Conn, applied func(context.Context, string, uint64) error) *outbox.Outbox {
	t.Helper()
	o, err := outbox.Open(path, c, slog.New(slog.NewTextHandler(io.Discard, nil)), applied)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func runUntil(t *testing.T, o *outbox.Outbox, done <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Errorf("entries still wait: %v", o.Stuck())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestEntriesOutliveTheProcessAndArriveOnce(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	path := filepath.Join(t.TempDir(), "outbox.db")
	subjects := []string{subject.Lease("525400000001"), subject.Lease("525400000002")}
	srv.Restart(t, func() {
		o := open(t, path, c, nil)
		for _, s := range subjects {
			if err := o.Put(outbox.Entry{Subject: s, Data: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		stopped := make(chan struct{})
		close(stopped)
		runUntil(t, o, stopped)
	})
	done, seen := make(chan struct{}), 0
	o := open(t, path, c, func(context.Context, string, uint64) error {
		if seen++; seen == len(subjects) {
			close(done)
		}
		return nil
	})
	if o.Len() != 2 {
		t.Fatalf("%d entries after the restart", o.Len())
	}
	runUntil(t, o, done)
	s, err := c.JS.Stream(context.Background(), subject.Seen)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 2 {
		t.Fatalf("%d messages in the stream", n)
	}
}
