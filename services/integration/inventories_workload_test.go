package integration_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/integration/ledger"
)

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// command is one that a client sends until it knows the outcome.
type command struct {
	noun, verb string
	req        proto.Message
	// gone are the objects that it deletes, as the client knows them.
	gone []ledger.Object
	// missing says that what it names may have been renamed or deleted by others.
	missing bool
}

// workload is what the clients do, and what they were told.
type workload struct {
	*heads
	ctx     context.Context
	seed    uint64
	errands chan errand
	total   int

	ended   atomic.Int64 // errands that are done with
	sent    atomic.Int64
	unknown atomic.Int64
	notDone atomic.Int64
	refused atomic.Int64
	killed  atomic.Int64
	mu      sync.Mutex
	answers []ledger.Answer
	done    map[string]int // how often a command was done, by noun and verb
	lines   []string       // what editors were told that they wrote
}

// run lets all clients work until nothing is left to do.
func (w *workload) run() {
	var wg sync.WaitGroup
	for i := range clients {
		c := &client{w, w.connect(), rand.New(rand.NewPCG(w.seed, uint64(i)+100))}
		wg.Go(func() {
			for do := range w.errands {
				do(c)
				w.ended.Add(1)
			}
		})
	}
	wg.Wait()
	if w.ctx.Err() != nil {
		w.Error("the commands did not end in time")
	}
}

// client is one of those who change the inventory at once.
type client struct {
	*workload
	conn *bus.Conn
	rnd  *rand.Rand
}

// do sends a command, always with one id, until its outcome is certain, and
// tells whether it was done.
func (w *client) do(c command) (ledger.Answer, bool) {
	a, doubt := ledger.Answer{CommandID: bus.NewID()}, false
	for w.ctx.Err() == nil {
		w.sent.Add(1)
		rep, err := w.send(a.CommandID, c)
		if err == nil {
			a.Done, a.Objects, a.Deleted = true, told(rep), c.gone
			return w.note(a, c), true
		}
		certain := strings.HasPrefix(err.Error(), "not done")
		switch kind := fault.KindOf(err); {
		case kind == fault.Conflict, kind == fault.NotFound && c.missing: // decided on all that an earlier try may have done
			w.refused.Add(1)
			return w.note(a, c), false
		case kind != fault.Unavailable:
			w.Errorf("%s %s %v: %s: %v", c.noun, c.verb, c.req, kind, err)
			return a, false
		case certain && !doubt && w.rnd.IntN(3) == 0: // believe it and give up
			w.notDone.Add(1)
			return w.note(a, c), false
		case certain:
		case strings.HasPrefix(err.Error(), "outcome unknown"), strings.HasPrefix(err.Error(), "done"):
			w.unknown.Add(1)
			doubt = true // an earlier one may still be on its way
		default:
			w.Errorf("%s %s %v: the answer tells neither: %v", c.noun, c.verb, c.req, err)
			return a, false
		}
		pause(w.ctx, time.Duration(20+w.rnd.IntN(200))*time.Millisecond)
	}
	return a, false
}

// send sends a command once and does not wait long.
func (w *client) send(id string, c command) (*inventoryv1.ChangeReply, error) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Duration(300+w.rnd.IntN(4000))*time.Millisecond)
	defer cancel()
	return bus.Request(bus.WithCall(ctx, bus.Call{ID: id, Author: "test"}), w.conn, subject.Command("inventory", c.noun, c.verb), c.req, &inventoryv1.ChangeReply{})
}

func (w *workload) note(a ledger.Answer, c command) ledger.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, a)
	if a.Done {
		w.done[c.noun+" "+c.verb]++
	}
	return a
}

// told is what a reply tells of nodes and groups.
func told(rep *inventoryv1.ChangeReply) (all []ledger.Object) {
	for _, o := range rep.Objects {
		if g := o.GetGroup(); g != nil {
			all = append(all, ledger.Object{Noun: "group", Name: g.Name})
			continue
		}
		n := ledger.Object{Noun: "node", Name: o.GetNode().GetName()}
		for _, a := range o.GetNode().GetAddresses() {
			n.Addresses = append(n.Addresses, a.Address)
		}
		all = append(all, n)
	}
	return all
}

// moments calls do when random shares of the errands have ended.
func (w *workload) moments(ctx context.Context, stream uint64, count int, do func(rnd *rand.Rand)) {
	rnd := rand.New(rand.NewPCG(w.seed, stream))
	var at []int
	for range count {
		at = append(at, rnd.IntN(w.total*9/10))
	}
	slices.Sort(at)
	for _, n := range at {
		for w.ended.Load() < int64(n) && ctx.Err() == nil {
			pause(ctx, 2*time.Millisecond)
		}
		pause(ctx, time.Duration(rnd.IntN(50))*time.Millisecond)
		if w.ctx.Err() != nil {
			return
		}
		do(rnd)
	}
}

// killInventories kills one of the inventories at random times.
func (w *workload) killInventories(ctx context.Context, count int) {
	w.moments(ctx, 1, count, func(rnd *rand.Rand) {
		d := w.inventories[rnd.IntN(len(w.inventories))]
		if err := d.kill(); err != nil {
			w.Error(err)
		}
		w.killed.Add(1)
		pause(w.ctx, time.Duration(rnd.IntN(300))*time.Millisecond)
		if err := d.start(); err != nil {
			w.Error(err)
		}
	})
}

// killLeaders kills the leader of the stream at random times.
func (w *workload) killLeaders(ctx context.Context, count int) {
	w.moments(ctx, 2, count, func(rnd *rand.Rand) {
		w.killLeader(time.Duration(rnd.IntN(1000)) * time.Millisecond)
		w.killed.Add(1)
	})
}

// askHistory asks for the record of every command, as a client in doubt does.
func (w *workload) askHistory() {
	for _, a := range w.answers {
		var rep *inventoryv1.HistoryReply
		var err error
		w.until("history answers", func(ctx context.Context) error {
			rep, err = bus.Request(ctx, w.conn, subject.Command("inventory", "history", "list"), &inventoryv1.HistoryRequest{CommandId: a.CommandID}, &inventoryv1.HistoryReply{})
			if fault.KindOf(err) == fault.Unavailable {
				return err
			}
			return nil
		})
		switch {
		case a.Done && (err != nil || len(rep.Changes) != 1 || rep.Changes[0].Change.CommandId != a.CommandID):
			w.Errorf("history of %s, which was done: %v, %v", a.CommandID, rep, err)
		case !a.Done && fault.KindOf(err) != fault.NotFound:
			w.Errorf("history of %s, which was not done: %v, %v", a.CommandID, rep, err)
		}
	}
}

// report tells how hard it was, and fails when something was not put to the test.
func (w *workload) report() {
	w.Logf("done: %v", w.done)
	w.Logf("%d refused, %d given up as not done; sent %d times, %d without a certain answer; %d processes killed",
		w.refused.Load(), w.notDone.Load(), w.sent.Load(), w.unknown.Load(), w.killed.Load())
	if w.refused.Load() == 0 || w.unknown.Load() == 0 {
		w.Error("too little happened to prove anything")
	}
	for _, noun := range []string{"node", "group"} {
		for _, verb := range []string{"add", "change", "rename", "delete"} {
			if w.done[noun+" "+verb] == 0 {
				w.Errorf("no %s %s was done", noun, verb)
			}
		}
	}
}
