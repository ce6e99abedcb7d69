package inventory_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/integration/ledger"
)

// book keeps what clients were told.
type book struct {
	*room
	mu      sync.Mutex
	answers []ledger.Answer
	unknown []string // command ids
	refused []string
}

// add sends one `node add` and notes the answer; the error is what the client was told.
func (b *book) add(ctx context.Context, conn *bus.Conn, count uint32) error {
	a := ledger.Answer{CommandID: bus.NewID()}
	rep, err := bus.Request(bus.WithCall(ctx, bus.Call{ID: a.CommandID}), conn, subject.Command("inventory", "node", "add"),
		&inventoryv1.NodeAddRequest{Group: "compute", Count: count}, &inventoryv1.ChangeReply{})
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		a.Done = true
		for _, o := range rep.Objects {
			a.Objects = append(a.Objects, ledger.Object{Noun: "node", Name: o.GetNode().Name, Addresses: []string{address(o.GetNode())}})
		}
	case fault.KindOf(err) != fault.Unavailable:
		b.t.Errorf("refused as %s: %v", fault.KindOf(err), err)
		return err
	case strings.HasPrefix(err.Error(), "not done: "):
		b.refused = append(b.refused, err.Error())
	case strings.HasPrefix(err.Error(), "outcome unknown"), strings.HasPrefix(err.Error(), "done as revision"):
		b.unknown = append(b.unknown, a.CommandID)
		return err
	default:
		b.t.Errorf("the answer tells neither: %v", err)
		return err
	}
	b.answers = append(b.answers, a)
	return err
}

// judge compares what clients were told with the stream.
func (b *book) judge(conn *bus.Conn) {
	b.t.Helper()
	all, err := ledger.Read(b.ctx(), conn.JS)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range ledger.Check(all, b.answers) {
		b.t.Error(f)
	}
	b.t.Logf("%d answers, %d refusals, %d unknown, %d messages", len(b.answers), len(b.refused), len(b.unknown), len(all))
}

// settle asks the history for what came of the commands whose outcome was unknown.
func (b *book) settle() {
	b.t.Helper()
	for _, id := range b.unknown {
		_, err := b.history(&inventoryv1.HistoryRequest{CommandId: id})
		if err != nil && fault.KindOf(err) != fault.NotFound {
			b.t.Errorf("history of %s: %v", id, err)
		}
		if err != nil {
			b.answers = append(b.answers, ledger.Answer{CommandID: id})
		}
	}
}

// until waits for a condition.
func (r *room) until(what string, is func() error) {
	r.t.Helper()
	for ctx := r.ctx(); ; {
		err := is()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("not in time: %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestFullDiskLosesNoChange fills the disk of the bus while nodes are added,
// and makes room again: nobody restarts anything.
func TestFullDiskLosesNoChange(t *testing.T) {
	disk := testenv.SmallDisk(t, "64m")
	b := &book{room: roomOn(t, filepath.Join(disk.Dir, "nats"))}
	b.describe()
	disk.Fill(400 << 10)
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	// On a slow machine some are done late before that.
	full := func(err error) bool { return err != nil && strings.Contains(err.Error(), "disk") }
	var told error
	for n := 0; !full(told) && n < 1000; n++ {
		told = b.add(short(), b.conn, 10)
	}
	if !full(told) || len(b.answers) < 2 {
		t.Fatalf("the disk did not become full: %v", told)
	}
	for range 3 {
		if err := b.add(short(), b.conn, 10); !full(err) {
			t.Errorf("while the disk is full: %v", err)
		}
	}
	b.t.Log(told)
	disk.Clear()
	b.until("nodes are added again", func() error { return b.add(short(), b.conn, 10) })
	b.judge(b.conn)
}

// roomOn is a room whose bus is that of a head and keeps its files in a directory.
func roomOn(t *testing.T, dir string) *room {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	keys := t.TempDir()
	public, err := broker.Keys(keys)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := broker.Start(broker.Options{Listen: "127.0.0.1:0", Store: dir, Public: public, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	connect := func(user string) *bus.Conn {
		c, err := bus.Connect(bus.Options{InProcess: srv, User: user, KeyFile: broker.KeyFile(keys, user), Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	r := &room{t: t, conn: connect("operator")}
	if err := bus.SetupWhenUp(r.ctx(), connect("setup"), 1); err != nil {
		t.Fatal(err)
	}
	r.startInventory(connect("inventory"))
	return r
}

// TestFullStreamRefusesCommands sets a limit of the stream's size.
func TestFullStreamRefusesCommands(t *testing.T) {
	b := &book{room: newRoom(t)}
	b.describe()
	limit := func(bytes int64) {
		t.Helper()
		s, err := b.conn.JS.Stream(b.ctx(), subject.Inventory)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		if cfg.MaxBytes = bytes; bytes == 0 {
			cfg.MaxBytes = int64(s.CachedInfo().State.Bytes) + 6000
		}
		if _, err := b.conn.JS.UpdateStream(b.ctx(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	limit(0)
	var told error
	for n := 0; told == nil && n < 1000; n++ {
		told = b.add(b.ctx(), b.conn, 3)
	}
	for _, part := range []string{"not done: ", "stream INVENTORY is full", "(max_bytes)"} {
		if told == nil || !strings.Contains(told.Error(), part) {
			t.Fatalf("%v says nothing of %q", told, part)
		}
	}
	if b.node("node001") == nil {
		t.Error("what is there cannot be read")
	}
	if _, err := b.conn.JS.Publish(b.ctx(), subject.Lease("020000000001"), []byte("{}")); err != nil {
		t.Errorf("another stream does not go on: %v", err)
	}
	limit(-1)
	if err := b.add(b.ctx(), b.conn, 3); err != nil {
		t.Error(err)
	}
	b.judge(b.conn)
}

// TestAThousandCommandsAtOnce has many clients add nodes at the same moment;
// some would wait long, some only for a moment.
func TestAThousandCommandsAtOnce(t *testing.T) {
	b := &book{room: newRoom(t)}
	b.describe()
	const commands, connections = 1000, 10
	conns := make([]*bus.Conn, connections)
	for i := range conns {
		conns[i] = b.srv.Connect(t, fmt.Sprintf("client%d", i))
	}
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range commands {
		all.Go(func() {
			wait := 2 * time.Minute
			if i%4 == 0 {
				wait = 3 * time.Second
			}
			<-begin
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			defer cancel()
			_ = b.add(ctx, conns[i%connections], 1) // what came of it is in the book
		})
	}
	watch, stop := context.WithCancel(context.Background())
	read := 0
	var watching sync.WaitGroup
	watching.Go(func() {
		for ; watch.Err() == nil; read++ {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			_, err := bus.Request(ctx, b.conn, subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{Limit: 1}, &inventoryv1.ListReply{})
			cancel()
			if err != nil {
				t.Errorf("reading, meanwhile: %v", err)
				return
			}
		}
	})
	close(begin)
	all.Wait()
	stop()
	watching.Wait()
	if len(b.answers)+len(b.unknown) != commands || len(b.answers)-len(b.refused) < commands*3/4 || read < 3 {
		t.Errorf("%d answers, %d refusals, %d unknown, read %d times", len(b.answers), len(b.refused), len(b.unknown), read)
	}
	b.settle()
	b.judge(b.conn)
}
