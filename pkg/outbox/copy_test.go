package outbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	outboxv1 "github.com/luna-hpc/luna/proto/outbox/v1"
)

// serve answers the command of an outbox until the test ends.
func serve(t *testing.T, c *bus.Conn, o *outbox.Outbox) {
	t.Helper()
	s := bus.NewService(c, "dhcp", "a service with an outbox", o.Endpoint("head1"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run.NewGroup("test", s).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func ask(t *testing.T, c *bus.Conn, head string) (*outboxv1.CopyReply, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		rep, err := bus.Request(ctx, c, subject.Command("dhcp", outbox.CopyNoun, outbox.CopyVerb), &outboxv1.CopyRequest{Head: head}, &outboxv1.CopyReply{})
		if fault.KindOf(err) != fault.Unavailable || ctx.Err() != nil || stopping(err) {
			return rep, err
		}
		time.Sleep(10 * time.Millisecond) // until the endpoint is there
	}
}

// stopping tells a service that is stopping from one that is not there yet.
func stopping(err error) bool { return err != nil && err.Error() == "not done: test is stopping" }

func ids(t *testing.T, path string) (all []string) {
	t.Helper()
	if err := outbox.ReadFile(path, func(e outbox.Entry) { all = append(all, e.ID) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestACopyIsWholeWhileEntriesCome(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	o := open(t, filepath.Join(t.TempDir(), "outbox.db"), c, nil)
	serve(t, c, o)
	ctx, cancel := context.WithCancel(context.Background())
	written := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil && n < 2000; n++ {
			if err := o.Put(outbox.Entry{ID: fmt.Sprint(n), Subject: subject.Lease("525400000001"), Data: make([]byte, 2000)}); err != nil {
				t.Error(err)
				break
			}
		}
		written <- n
	}()
	var last []string
	for i := range 5 {
		rep, err := ask(t, c, "head1")
		if err != nil {
			t.Fatal(err)
		}
		store, err := c.JS.ObjectStore(context.Background(), subject.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := store.GetFile(context.Background(), rep.Object, path); err != nil {
			t.Fatal(err)
		}
		got := ids(t, path)
		if int64(len(got)) != rep.Entries || len(got) < len(last) || rep.Head != "head1" || rep.Bytes == 0 {
			t.Errorf("%d entries after %d, the reply says %v", len(got), len(last), rep)
		}
		for n, id := range got {
			if id != fmt.Sprint(n) {
				t.Fatalf("entry %d is %s", n, id)
			}
		}
		last = got
	}
	cancel()
	if n := <-written; n < len(last) || len(last) == 0 {
		t.Errorf("%d entries were written, %d copied", n, len(last))
	}
}

func TestACopyOfAnotherHeadIsNotMade(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	dir := t.TempDir()
	o := open(t, filepath.Join(dir, "outbox.db"), c, nil)
	serve(t, c, o)
	rep, err := ask(t, c, "head2")
	if err != nil || rep.Object != "" || rep.Head != "head1" {
		t.Errorf("%v, %v", rep, err)
	}
	if rep, err = ask(t, c, ""); err != nil || rep.Object == "" {
		t.Errorf("of any head: %v, %v", rep, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	stopped := make(chan struct{})
	close(stopped)
	runUntil(t, o, stopped)
	if _, err := ask(t, c, "head1"); fault.KindOf(err) != fault.Unavailable || !stopping(err) {
		t.Errorf("of a service that stops: %v", err)
	}
}

func TestPruneTakesOutWhatItIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	o := open(t, path, natstest.StartEmpty(t).Connect(t, "test"), nil)
	for _, id := range []string{"a", "b", "c"} {
		if err := o.Put(outbox.Entry{ID: id, Subject: "s", Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	stopped := make(chan struct{})
	close(stopped)
	runUntil(t, o, stopped)
	if err := outbox.Prune(path, func(e outbox.Entry) bool { return e.ID == "b" }); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, path); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("left: %v", got)
	}
	if err := outbox.ReadFile(path+"-nosuch", func(outbox.Entry) {}); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := outbox.Prune(path+"-nosuch", func(outbox.Entry) bool { return false }); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}
