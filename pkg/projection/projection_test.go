package projection_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// copyFold keeps the last message of each subject.
func copyFold(version int) projection.Fold {
	return projection.Fold{Stream: subject.Inventory, Version: version, Buckets: []string{"last"},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			if ev.Deleted() {
				return tx.Delete("last", ev.Subject)
			}
			return tx.Put("last", ev.Subject, ev.Data)
		}}
}

type running struct {
	*projection.State
	stop func()
}

func start(t *testing.T, conn *bus.Conn, path string, f projection.Fold) running {
	t.Helper()
	s, err := projection.Open(path, conn, quiet, f)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return running{s, stop}
}

func publish(t *testing.T, c *bus.Conn, id, text string) uint64 {
	t.Helper()
	ack, err := c.JS.Publish(ctx(t), subject.Object("node", id), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return c
}

func (r running) contents(t *testing.T, seq uint64) map[string]string {
	t.Helper()
	if err := r.WaitFor(ctx(t), subject.Inventory, seq); err != nil {
		t.Fatalf("%v: %v", err, r.Ages())
	}
	got := map[string]string{}
	err := r.View(func(tx *projection.Tx) error {
		return tx.Each("last", "", "", func(k string, v []byte) bool { got[k] = string(v); return true })
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRebuildEqualsKeptState(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	dir := t.TempDir()
	kept := start(t, c, filepath.Join(dir, "kept.db"), copyFold(1))
	for round := range 100 { // more than the stream keeps of a subject
		for node := range 5 {
			publish(t, c, fmt.Sprint(node), fmt.Sprintf("v%d", round))
		}
	}
	seq := publish(t, c, "3", "")
	fresh := start(t, c, filepath.Join(dir, "fresh.db"), copyFold(1))
	a, b := kept.contents(t, seq), fresh.contents(t, seq)
	if !maps.Equal(a, b) || len(a) != 4 {
		t.Fatalf("kept %v, fresh %v", a, b)
	}
}

func TestBatchIsSeenWhole(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	s := start(t, c, filepath.Join(t.TempDir(), "s.db"), copyFold(1))
	s.contents(t, 0)
	const size = 2000
	watched := make(chan error, 1)
	go func() { watched <- watchCounts(ctx(t), s.State, size) }()
	seq, err := bus.PublishBatch(ctx(t), c, batchOf(size, "x"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.contents(t, seq); len(got) != size {
		t.Fatalf("%d entries", len(got))
	}
	if err := <-watched; err != nil {
		t.Fatal(err)
	}
}

// watchCounts fails if it ever sees part of a batch.
func watchCounts(ctx context.Context, s *projection.State, whole int) error {
	for {
		changed, n := s.Changed(), 0
		err := s.View(func(tx *projection.Tx) error {
			return tx.Each("last", "", "", func(string, []byte) bool { n++; return true })
		})
		if err != nil || n == whole {
			return err
		}
		if n != 0 {
			return fmt.Errorf("saw %d of %d", n, whole)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func batchOf(n int, text string) []*nats.Msg {
	msgs := make([]*nats.Msg, n)
	for i := range msgs {
		msgs[i] = &nats.Msg{Subject: subject.Object("node", fmt.Sprint(i)), Data: []byte(text)}
	}
	return msgs
}

func TestFencedBatchIsRefused(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	seq := publish(t, c, "1", "a")
	if _, err := bus.PublishBatch(ctx(t), c, batchOf(3, "x"), seq-1); !errors.Is(err, bus.ErrFenced) {
		t.Fatalf("got %v", err)
	}
	if _, err := bus.PublishBatch(ctx(t), c, batchOf(1, "x"), seq-1); !errors.Is(err, bus.ErrFenced) {
		t.Fatalf("got %v", err)
	}
	if last, err := bus.PublishBatch(ctx(t), c, batchOf(3, "x"), seq); err != nil || last != seq+3 {
		t.Fatalf("sequence %d, %v", last, err)
	}
}

func TestKeptStateAnswersWithoutTheBus(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	path := filepath.Join(t.TempDir(), "s.db")
	first := start(t, c, path, copyFold(1))
	first.contents(t, publish(t, c, "1", "a"))
	first.stop()
	srv.Restart(t, func() {
		again := start(t, c, path, copyFold(1))
		if got := again.contents(t, 1); len(got) != 1 {
			t.Errorf("got %v", got)
		}
		if _, live := again.Revision(subject.Inventory); live {
			t.Error("the state says that it follows a stopped server")
		}
		again.stop()
	})
}

func TestFollowsThroughARestart(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	s := start(t, c, filepath.Join(t.TempDir(), "s.db"), copyFold(1))
	s.contents(t, publish(t, c, "1", "a"))
	other := srv.Connect(t, "other")
	srv.Restart(t, nil)
	for connected := other.Connected(); other.Up() != nil; connected = other.Connected() {
		select {
		case <-connected:
		case <-ctx(t).Done():
			t.Fatal(other.Up())
		}
	}
	if got := s.contents(t, publish(t, other, "2", "b")); len(got) != 2 {
		t.Fatalf("got %v", got)
	}
}

func TestAnotherStreamIsReadAnew(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	path := filepath.Join(t.TempDir(), "s.db")
	s := start(t, c, path, copyFold(1))
	s.contents(t, publish(t, c, "old", "a"))
	s.stop()
	if err := c.JS.DeleteStream(ctx(t), subject.Inventory); err != nil {
		t.Fatal(err)
	}
	if err := bus.Setup(ctx(t), c.JS, 1); err != nil {
		t.Fatal(err)
	}
	publish(t, c, "new", "b")
	seq := publish(t, c, "newer", "b")
	got := start(t, c, path, copyFold(1)).contents(t, seq)
	if len(got) != 2 || got[subject.Object("node", "old")] != "" {
		t.Fatalf("got %v", got)
	}
}

func TestStreamMadeAnewWhileFollowed(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	s := start(t, c, filepath.Join(t.TempDir(), "s.db"), copyFold(1))
	for range 5 {
		s.contents(t, publish(t, c, "old", "a"))
	}
	if err := c.JS.DeleteStream(ctx(t), subject.Inventory); err != nil {
		t.Fatal(err)
	}
	if err := bus.Setup(ctx(t), c.JS, 1); err != nil {
		t.Fatal(err)
	}
	publish(t, c, "new", "b")
	for {
		changed := s.Changed()
		if got := s.contents(t, 0); len(got) == 1 && got[subject.Object("node", "new")] == "b" {
			return
		}
		select {
		case <-changed:
		case <-ctx(t).Done():
			t.Fatal("the new stream was never read")
		}
	}
}

func TestOlderFoldAndDamageAreReadAnew(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	for name, spoil := range map[string]func(path string) error{
		"older version": func(string) error { return nil },
		"missing":       os.Remove,
		"empty":         func(p string) error { return os.Truncate(p, 0) },
		"half":          func(p string) error { return os.Truncate(p, 9000) },
		"garbage":       func(p string) error { return os.WriteFile(p, make([]byte, 65536), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.db")
			s := start(t, c, path, copyFold(1))
			seq := publish(t, c, "1", "a")
			s.contents(t, seq)
			s.stop()
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			if got := start(t, c, path, copyFold(2)).contents(t, seq); got[subject.Object("node", "1")] != "a" {
				t.Fatalf("got %v", got)
			}
		})
	}
}

func TestDamageFoundWhileReadingHeals(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	path := filepath.Join(t.TempDir(), "s.db")
	s := start(t, c, path, copyFold(1))
	text := make([]byte, 3000)
	for i := range text {
		text[i] = 'z'
	}
	seq := publish(t, c, "1", string(text))
	s.contents(t, seq)
	overwrite(t, path, text[:100])
	key := subject.Object("node", "1")
	err := s.View(func(tx *projection.Tx) error { _, err := tx.Get("last", key); return err })
	if err == nil {
		t.Fatal("damaged value was returned")
	}
	if got := s.contents(t, seq); got[key] != string(text) {
		t.Fatalf("not healed: %d bytes", len(got[key]))
	}
	if _, err := os.Stat(path + ".bad"); err != nil {
		t.Fatal(err)
	}
}

// overwrite changes every place of the file that holds text.
func overwrite(t *testing.T, path string, text []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := 0; i+len(text) < len(data); i++ {
		if string(data[i:i+len(text)]) == string(text) {
			if _, err := f.WriteAt([]byte("damage"), int64(i+10)); err != nil {
				t.Fatal(err)
			}
			i += len(text)
		}
	}
}

func TestMissingStreamIsNamed(t *testing.T) {
	srv := natstest.StartEmpty(t)
	c := srv.Connect(t, "test")
	s := start(t, c, filepath.Join(t.TempDir(), "s.db"), copyFold(1))
	if s.Ready() == nil {
		t.Fatal("ready without a stream")
	}
	if err := bus.Setup(ctx(t), c.JS, 1); err != nil {
		t.Fatal(err)
	}
	s.contents(t, 0)
}

// TestStreamFromAnOldBackup puts an older copy of the server's files in the
// place of the newer ones, and goes on from there with other messages.
func TestStreamFromAnOldBackup(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]int{"shorter": 1, "as long": 5, "longer": 9} {
		t.Run(name, func(t *testing.T) {
			srv := natstest.Start(t)
			c := srv.Connect(t, "test")
			dir := t.TempDir()
			s := start(t, c, filepath.Join(dir, "s.db"), copyFold(1))
			for i := range 10 {
				publish(t, c, fmt.Sprint("both", i%3), fmt.Sprint(i))
			}
			srv.Restart(t, func() {
				if err := os.CopyFS(filepath.Join(dir, "backup"), os.DirFS(srv.Store())); err != nil {
					t.Fatal(err)
				}
			})
			other := connected(t, srv)
			var seq uint64
			for i := range 5 {
				seq = publish(t, other, fmt.Sprint("lost", i), "a")
			}
			s.contents(t, seq)
			srv.Restart(t, func() {
				if err := os.RemoveAll(srv.Store()); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(srv.Store(), os.DirFS(filepath.Join(dir, "backup"))); err != nil {
					t.Fatal(err)
				}
			})
			other = connected(t, srv)
			for i := range after {
				seq = publish(t, other, fmt.Sprint("new", i%2), fmt.Sprint(i))
			}
			want := start(t, other, filepath.Join(dir, "fresh.db"), copyFold(1)).contents(t, seq)
			for {
				changed := s.Changed()
				if got := s.contents(t, 0); maps.Equal(got, want) {
					return
				}
				select {
				case <-changed:
				case <-ctx(t).Done():
					t.Fatalf("got %v, want %v", s.contents(t, 0), want)
				}
			}
		})
	}
}

// connected returns a new connection to a server that was just started.
func connected(t *testing.T, srv *natstest.Server) *bus.Conn {
	t.Helper()
	c := srv.Connect(t, "other")
	for end := time.Now().Add(10 * time.Second); c.Up() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(c.Up())
		}
	}
	return c
}

// TestTrimmedStream lets a stream lose messages that a state had not read yet.
func TestTrimmedStream(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	path := filepath.Join(t.TempDir(), "s.db")
	s := start(t, c, path, copyFold(1))
	s.contents(t, publish(t, c, "stays", "a"))
	s.contents(t, publish(t, c, "goes", "a"))
	s.stop()
	publish(t, c, "unseen", "a")
	publish(t, c, "goes", "")
	seq := publish(t, c, "last", "a")
	stream, err := c.JS.Stream(ctx(t), subject.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(ctx(t), jetstream.WithPurgeSequence(seq)); err != nil {
		t.Fatal(err)
	}
	got := start(t, c, path, copyFold(1)).contents(t, seq)
	if len(got) != 1 || got[subject.Object("node", "last")] != "a" {
		t.Fatalf("got %v", got)
	}
}
