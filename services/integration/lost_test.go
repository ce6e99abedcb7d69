package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/integration/ledger"
)

// TestHeadLostForGood has the third of three heads lose all that it had and be
// set up anew under the same name, as deploy/three-heads.md says, while the
// others go on. Then another head goes off: what the new one has must do.
func TestHeadLostForGood(t *testing.T) {
	ctx := limit(t, 5*time.Minute)
	h := newHeads(t, ctx, 3)
	h.describe()
	h.addNodes(20)
	for _, d := range []*daemon{h.servers[2], h.inventories[1]} {
		must(t, d.kill())
	}
	for _, dir := range []string{"nats3", "inventory2"} {
		must(t, os.RemoveAll(filepath.Join(h.dir, dir)))
	}
	h.addNodes(20)
	for _, d := range []*daemon{h.servers[2], h.inventories[1]} {
		must(t, d.start())
	}
	h.addNodes(20)
	h.until("every stream and bucket has three copies", h.allWhole)
	h.waitReady()
	was := h.ledger()
	for _, f := range ledger.Check(was, nil) {
		t.Error(f)
	}
	must(t, h.servers[0].kill())
	must(t, h.inventories[0].kill())
	h.until("a node is added by the head that is new and the second", func(ctx context.Context) error {
		_, err := bus.Request(ctx, h.conn, subject.Command("inventory", "node", "add"), &inventoryv1.NodeAddRequest{Group: "compute"}, &inventoryv1.ChangeReply{})
		return err
	})
	is := h.ledger()
	if len(is) <= len(was) || !reflect.DeepEqual(is[:len(was)], was) {
		t.Errorf("%d messages became %d others", len(was), len(is))
	}
	fresh := h.nodes()
	must(t, h.servers[0].start())
	must(t, h.inventories[0].start())
	h.until("every stream and bucket has three copies", h.allWhole)
	h.waitReady()
	must(t, h.inventories[1].kill())
	if kept := h.nodes(); !proto.Equal(kept, fresh) || len(kept.GetObjects()) < 61 {
		t.Errorf("the first head's inventory has %d nodes, the new one's %d", len(kept.GetObjects()), len(fresh.GetObjects()))
	}
	must(t, h.inventories[1].start())
}

// addNodes adds nodes, each as often as it takes until it is done.
func (h *heads) addNodes(n int) {
	h.Helper()
	for range n {
		id := bus.NewID()
		h.until("a node is added", func(ctx context.Context) error {
			_, err := bus.Request(bus.WithCall(ctx, bus.Call{ID: id}), h.conn, subject.Command("inventory", "node", "add"), &inventoryv1.NodeAddRequest{Group: "compute"}, &inventoryv1.ChangeReply{})
			return err
		})
	}
}

// nodes asks for all nodes, until the answer is no old one.
func (h *heads) nodes() (rep *inventoryv1.ListReply) {
	h.Helper()
	h.until("the nodes are listed", func(ctx context.Context) (err error) {
		rep, err = bus.Request(ctx, h.conn, subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{Limit: 2000}, &inventoryv1.ListReply{})
		if err == nil && rep.MayBeOld {
			return errors.New("the answer may be old")
		}
		return err
	})
	return rep
}

// allWhole is nil while every stream has a leader and two copies that are current.
func (h *heads) allWhole(ctx context.Context) error {
	var names []string
	for _, s := range bus.Streams(3) {
		if s.Name != subject.Secrets { // which the operator may not look at
			names = append(names, s.Name)
		}
	}
	for _, b := range bus.Buckets(3) {
		names = append(names, "OBJ_"+b.Bucket)
	}
	for _, name := range names {
		stream, err := h.conn.JS.Stream(ctx, name)
		if err != nil {
			return err
		}
		c := stream.CachedInfo().Cluster
		if c == nil || c.Leader == "" || len(c.Replicas) != 2 {
			return fmt.Errorf("stream %s: %+v", name, c)
		}
		for _, r := range c.Replicas {
			if !r.Current || r.Offline || r.Lag > 0 {
				return fmt.Errorf("stream %s: copy on %s is not current", name, r.Name)
			}
		}
	}
	return nil
}
