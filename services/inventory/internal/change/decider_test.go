package change_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// desk is a decider whose connection to the server a test can meddle with.
type desk struct {
	*testing.T
	srv     *natstest.Server
	other   *bus.Conn // of somebody else
	state   *projection.State
	decider *change.Decider

	mu   sync.Mutex
	sent func(data string) verdict // asked about what the decider sends
}

// verdict is what becomes of bytes that the decider sends.
type verdict int

const (
	pass verdict = iota
	lose         // they do not arrive
	last         // they arrive, and then the connection breaks before any answer
)

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, srv: natstest.Start(t), sent: func(string) verdict { return pass }}
	d.other = d.srv.Connect(t, "other")
	quiet := slog.New(slog.DiscardHandler)
	state, err := projection.Open(filepath.Join(t.TempDir(), "state.db"), d.srv.Connect(t, "inventory"), quiet, change.Fold())
	if err != nil {
		t.Fatal(err)
	}
	d.state = state
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- state.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	conn, err := bus.Connect(bus.Options{InProcess: d, User: "inventory", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	d.decider = change.NewDecider(conn, state, secret.Key{}, time.Now)
	if err := state.WaitFor(d.within(10*time.Second), subject.Inventory, 0); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	d.Cleanup(cancel)
	return ctx
}

// meddle sets what becomes of what the decider sends from now on.
func (d *desk) meddle(sent func(data string) verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = sent
}

// InProcessConn connects the decider.
func (d *desk) InProcessConn() (net.Conn, error) {
	c, err := d.srv.InProcessConn()
	return &line{Conn: c, desk: d}, err
}

// line is the decider's connection.
type line struct {
	net.Conn
	desk *desk
	deaf atomic.Bool
}

// Write asks the test what becomes of the bytes.
func (l *line) Write(data []byte) (int, error) {
	l.desk.mu.Lock()
	verdict := l.desk.sent(string(data))
	l.desk.mu.Unlock()
	switch verdict {
	case lose:
		return len(data), nil
	case last:
		l.deaf.Store(true)
		n, err := l.Conn.Write(data)
		l.desk.awaitRecord()
		return n, errors.Join(err, l.Conn.Close())
	}
	return l.Conn.Write(data)
}

// Read hears nothing on a line that is about to break.
func (l *line) Read(data []byte) (int, error) {
	n, err := l.Conn.Read(data)
	if l.deaf.Load() {
		return 0, io.EOF
	}
	return n, err
}

// awaitRecord waits until the change of command C1 is stored.
func (d *desk) awaitRecord() {
	ctx := d.within(10 * time.Second)
	for ctx.Err() == nil {
		if d.records("C1") == 1 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	d.Error("the change was not stored")
}

// records counts the records of a command in the stream.
func (d *desk) records(id string) uint64 {
	stream, err := d.other.JS.Stream(d.within(10*time.Second), subject.Inventory)
	if err != nil {
		d.Error(err)
		return 0
	}
	info, err := stream.Info(d.within(10*time.Second), jetstream.WithSubjectFilter(subject.Change(id)))
	if err != nil {
		d.Error(err)
		return 0
	}
	return info.State.Subjects[subject.Change(id)]
}

// add adds an osimage as command C1.
func (d *desk) add(ctx context.Context, decided func(*change.Draft)) (*inventoryv1.ChangeReply, error) {
	req := &inventoryv1.OsimageAddRequest{Name: "compute"}
	return d.decider.Do(ctx, bus.Call{ID: "C1", Command: "inventory.osimage.add"}, req, func(draft *change.Draft) error {
		decided(draft)
		draft.Put("O1", &inventoryv1.Osimage{Id: "O1", Name: req.Name})
		return nil
	})
}

func isCommit(data string) bool { return strings.Contains(data, "Nats-Batch-Commit: 1") }

// TestLostAcknowledgement breaks the connection after the change is stored and
// before the server can say so: the same batch is sent again, refused, and found.
func TestLostAcknowledgement(t *testing.T) {
	d := newDesk(t)
	commits := 0
	d.meddle(func(data string) verdict {
		if !isCommit(data) {
			return pass
		}
		if commits++; commits == 1 {
			return last
		}
		return pass
	})
	rep, err := d.add(d.within(time.Minute), func(*change.Draft) {})
	if err != nil || len(rep.Objects) != 1 || rep.Objects[0].GetOsimage().GetName() != "compute" {
		t.Fatalf("%v, %v", rep, err)
	}
	if n := d.records("C1"); n != 1 || commits < 2 {
		t.Errorf("%d records, sent %d times", n, commits)
	}
}

// TestDoubtIsTold has the acknowledgement lost and the stream silent after it:
// what may have been done must not be called not done.
func TestDoubtIsTold(t *testing.T) {
	d := newDesk(t)
	commits := 0
	d.meddle(func(data string) verdict {
		switch {
		case isCommit(data):
			if commits++; commits == 1 {
				return last
			}
		case commits > 1 && strings.Contains(data, "$JS.API.STREAM.INFO."):
			return lose
		}
		return pass
	})
	rep, err := d.add(d.within(15*time.Second), func(*change.Draft) {})
	if fault.KindOf(err) != fault.Unavailable || err == nil || !strings.HasPrefix(err.Error(), "outcome unknown") || !strings.Contains(err.Error(), "luna history C1") {
		t.Errorf("%v, %v", rep, err)
	}
	if commits < 2 {
		t.Errorf("sent %d times", commits)
	}
	d.meddle(func(string) verdict { return pass })
	if rep, err = d.add(d.within(time.Minute), func(*change.Draft) { t.Error("decided again") }); err != nil || len(rep.Objects) != 1 {
		t.Errorf("again: %v, %v", rep, err)
	}
}

// TestNothingSentIsNotDone loses every batch before its end: that is no doubt.
func TestNothingSentIsNotDone(t *testing.T) {
	d := newDesk(t)
	d.meddle(func(data string) verdict {
		if strings.Contains(data, "Nats-Batch-Id") {
			return lose
		}
		return pass
	})
	rep, err := d.add(d.within(2*time.Second), func(*change.Draft) {})
	if fault.KindOf(err) != fault.Unavailable || err == nil || !strings.HasPrefix(err.Error(), "not done") {
		t.Errorf("%v, %v", rep, err)
	}
	if n := d.records("C1"); n != 0 {
		t.Errorf("%d records", n)
	}
}

// TestDecidesOnWhatTheFenceExpects moves the stream on while a decision reads
// the state: the decision must not be stored, though the state has caught up.
func TestDecidesOnWhatTheFenceExpects(t *testing.T) {
	d := newDesk(t)
	decisions := 0
	rep, err := d.add(d.within(time.Minute), func(draft *change.Draft) {
		decisions++
		o, err := draft.Find(catalog.Osimage, "compute")
		if err != nil {
			t.Error(err)
		}
		if decisions > 1 {
			if o == nil {
				t.Error("the second decision does not see the other's osimage")
			}
			return
		}
		if o != nil {
			t.Error("the first decision sees what is not there yet")
		}
		seq, err := bus.PublishBatch(d.within(10*time.Second), d.other, []*nats.Msg{
			{Subject: subject.Object("osimage", "O2"), Data: []byte(`{"id":"O2","name":"compute"}`)},
			{Subject: subject.Change("C2"), Data: []byte(`{"command_id":"C2"}`)},
		}, 0)
		if err == nil {
			err = d.state.WaitFor(d.within(10*time.Second), subject.Inventory, seq)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil || decisions != 2 {
		t.Errorf("%d decisions, %v, %v", decisions, rep, err)
	}
}

// TestWaitingCommandsAreToldInTime keeps the decider busy: who waits for it is
// answered before the own deadline.
func TestWaitingCommandsAreToldInTime(t *testing.T) {
	d := newDesk(t)
	busy, free := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := d.add(d.within(time.Minute), func(*change.Draft) { close(busy); <-free })
		ended <- err
	}()
	<-busy
	ctx := d.within(time.Second)
	_, err := d.decider.Do(ctx, bus.Call{ID: "C2"}, &inventoryv1.OsimageAddRequest{}, func(*change.Draft) error {
		t.Error("decided beside another")
		return nil
	})
	if fault.KindOf(err) != fault.Unavailable || err == nil || !strings.HasPrefix(err.Error(), "not done") || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
	close(free)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTooLargeAChangeIsRefused(t *testing.T) {
	d := newDesk(t)
	rep, err := d.add(d.within(time.Minute), func(draft *change.Draft) {
		for i := range bus.MaxBatch {
			draft.Delete(catalog.Osimage, fmt.Sprint(i), "")
		}
	})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v, %v", rep, err)
	}
}
