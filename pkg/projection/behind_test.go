package projection

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
)

// TestRebuildFromACopyThatIsBehind has a consumer deliver less than the stream's leader has, as one on a server does whose
// copy is still coming: the fold must not pass for as new as the stream. What is deleted at the stream's end is no reason
// to wait.
func TestRebuildFromACopyThatIsBehind(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, id := range []string{"1", "2", "3"} {
		if _, err := c.JS.Publish(ctx, subject.Object("node", id), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := c.JS.Stream(ctx, subject.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	fold := Fold{Stream: subject.Inventory, Version: 1, Buckets: []string{"all"},
		Apply: func(tx *Tx, ev Event) error { return tx.Put("all", ev.Subject, ev.Data) }}
	s, err := Open(filepath.Join(t.TempDir(), "state.db"), c, slog.New(slog.DiscardHandler), fold)
	if err != nil {
		t.Fatal(err)
	}
	// What a copy without message 3 delivers.
	behind := func() *reader {
		r := &reader{state: s, fold: fold, stream: stream, rebuild: true, cur: cursor{Version: fold.Version, Created: stream.CachedInfo().Created, Seq: 3}}
		for i, id := range []string{"1", "2"} {
			r.ready = append(r.ready, Event{Stream: subject.Inventory, Subject: subject.Object("node", id), Seq: uint64(1 + i), Data: []byte("x")})
		}
		return r
	}
	if err := behind().caughtUp(ctx); !errors.Is(err, errBehind) {
		t.Errorf("without message 3: %v", err)
	}
	if seq, live := s.Revision(subject.Inventory); seq != 0 || live {
		t.Errorf("the fold passes for revision %d, following %t", seq, live)
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject.Object("node", "3"))); err != nil {
		t.Fatal(err)
	}
	if err := behind().caughtUp(ctx); err != nil {
		t.Errorf("message 3 is deleted: %v", err)
	}
	if seq, live := s.Revision(subject.Inventory); seq != 3 || !live {
		t.Errorf("the fold passes for revision %d, following %t", seq, live)
	}
}
