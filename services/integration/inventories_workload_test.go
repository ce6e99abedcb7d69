package integration_test

import (
	"context"
	"fmt"
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
	verb string
	req  proto.Message
	// drop says that the node is deleted afterwards.
	drop bool
}

// workload is what the clients do, and what they were told.
type workload struct {
	*heads
	ctx      context.Context
	seed     uint64
	commands chan command
	total    int

	ended   atomic.Int64 // commands whose outcome is known
	sent    atomic.Int64
	unknown atomic.Int64
	notDone atomic.Int64
	refused atomic.Int64
	killed  atomic.Int64
	mu      sync.Mutex
	answers []ledger.Answer
}

// plan makes the commands. Most nodes have made-up names; of some, several want
// the same name, MAC or address, and one may have it.
func (w *workload) plan(adds int) {
	w.commands = make(chan command, adds)
	rnd := rand.New(rand.NewPCG(w.seed, 0))
	for i := range adds {
		c, wanted := &inventoryv1.NodeAddRequest{Group: "compute"}, i/40*3+rnd.IntN(3)
		drop := false
		switch rnd.IntN(12) {
		case 0:
			c.Name = fmt.Sprintf("login%d", wanted)
		case 1:
			c.Mac = fmt.Sprintf("52:54:00:00:%02x:%02x", wanted/256, wanted%256)
		case 2:
			c.Ip = fmt.Sprintf("10.30.%d.%d", 200+wanted/250, 1+wanted%250)
		case 3:
			c.Count = 2 + uint32(rnd.IntN(3))
		default:
			drop = rnd.IntN(4) == 0
		}
		w.commands <- command{"add", c, drop}
	}
	close(w.commands)
	w.total = adds
}

// run lets all clients work until nothing is left to do.
func (w *workload) run() {
	var wg sync.WaitGroup
	for i := range clients {
		conn := w.connect()
		rnd := rand.New(rand.NewPCG(w.seed, uint64(i)+100))
		wg.Go(func() {
			for c := range w.commands {
				a, ok := w.do(conn, rnd, c)
				w.ended.Add(1)
				if ok && c.drop && a.Done {
					w.do(conn, rnd, command{"delete", &inventoryv1.DeleteRequest{Name: a.Nodes[0].Name}, false})
				}
			}
		})
	}
	wg.Wait()
	if w.ctx.Err() != nil {
		w.Error("the commands did not end in time")
	}
}

// do sends a command, always with one id, until its outcome is certain.
func (w *workload) do(conn *bus.Conn, rnd *rand.Rand, c command) (ledger.Answer, bool) {
	a, doubt := ledger.Answer{CommandID: bus.NewID()}, false
	for w.ctx.Err() == nil {
		w.sent.Add(1)
		rep, err := w.send(conn, rnd, a.CommandID, c)
		if err == nil {
			a.Done, a.Nodes = true, told(rep)
			if d, ok := c.req.(*inventoryv1.DeleteRequest); ok {
				a.Deleted = []string{d.Name}
			}
			return w.note(a), true
		}
		certain := strings.HasPrefix(err.Error(), "not done")
		switch kind := fault.KindOf(err); {
		case kind == fault.Conflict: // for good: what it collides with is never deleted
			w.refused.Add(1)
			return w.note(a), true
		case kind != fault.Unavailable:
			w.Errorf("%s %v: %s: %v", c.verb, c.req, kind, err)
			return a, false
		case certain && !doubt && rnd.IntN(3) == 0: // believe it and give up
			w.notDone.Add(1)
			return w.note(a), true
		case certain:
		case strings.HasPrefix(err.Error(), "outcome unknown"), strings.HasPrefix(err.Error(), "done"):
			w.unknown.Add(1)
			doubt = true // an earlier one may still be on its way
		default:
			w.Errorf("%s %v: the answer tells neither: %v", c.verb, c.req, err)
			return a, false
		}
		pause(w.ctx, time.Duration(20+rnd.IntN(200))*time.Millisecond)
	}
	return a, false
}

// send sends a command once and does not wait long.
func (w *workload) send(conn *bus.Conn, rnd *rand.Rand, id string, c command) (*inventoryv1.ChangeReply, error) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Duration(300+rnd.IntN(4000))*time.Millisecond)
	defer cancel()
	return bus.Request(bus.WithCall(ctx, bus.Call{ID: id, Author: "test"}), conn, subject.Command("inventory", "node", c.verb), c.req, &inventoryv1.ChangeReply{})
}

func (w *workload) note(a ledger.Answer) ledger.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, a)
	return a
}

// told is what a reply tells of nodes.
func told(rep *inventoryv1.ChangeReply) (nodes []ledger.Node) {
	for _, o := range rep.Objects {
		n := ledger.Node{Name: o.GetNode().GetName()}
		for _, a := range o.GetNode().GetAddresses() {
			n.Addresses = append(n.Addresses, a.Address)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// moments calls do when random shares of the commands have ended.
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

// report tells how hard it was, and fails when nothing was put to the test.
func (w *workload) report() {
	done := 0
	for _, a := range w.answers {
		if a.Done {
			done++
		}
	}
	w.Logf("%d commands done, %d refused, %d given up as not done; sent %d times, %d without a certain answer; %d processes killed",
		done, w.refused.Load(), w.notDone.Load(), w.sent.Load(), w.unknown.Load(), w.killed.Load())
	if done < w.total/2 || w.refused.Load() == 0 || w.unknown.Load() == 0 {
		w.Error("too little happened to prove anything")
	}
}
