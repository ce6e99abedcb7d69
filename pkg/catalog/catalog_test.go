package catalog_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

type room struct {
	*testing.T
	conn *bus.Conn
	last uint64
}

func newRoom(t *testing.T) *room { return &room{T: t, conn: natstest.Start(t).Connect(t, "test")} }

func (r *room) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	r.Cleanup(cancel)
	return ctx
}

// put publishes an object; nil deletes it.
func (r *room) put(noun catalog.Noun, id string, m proto.Message) {
	r.Helper()
	var data []byte
	if m != nil {
		var err error
		if data, err = wire.Marshal(m); err != nil {
			r.Fatal(err)
		}
	}
	ack, err := r.conn.JS.Publish(r.ctx(), subject.Object(string(noun), id), data)
	if err != nil {
		r.Fatal(err)
	}
	r.last = ack.Sequence
}

// follow starts a state and waits for all that was published.
func (r *room) follow(keep ...catalog.Noun) *projection.State {
	r.Helper()
	s, _ := r.followIn(filepath.Join(r.TempDir(), "state.db"), keep...)
	return s
}

func (r *room) followIn(path string, keep ...catalog.Noun) (s *projection.State, end func()) {
	r.Helper()
	s, err := projection.Open(path, r.conn, slog.New(slog.NewTextHandler(io.Discard, nil)), catalog.Fold(keep...))
	if err != nil {
		r.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	end = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			r.Error(err)
		}
	})
	r.Cleanup(end)
	r.upToDate(s)
	return s, end
}

func (r *room) upToDate(s *projection.State) {
	r.Helper()
	if err := s.WaitFor(r.ctx(), subject.Inventory, r.last); err != nil {
		r.Fatal(err)
	}
}

func (r *room) read(s *projection.State, do func(v catalog.View) error) {
	r.Helper()
	if err := catalog.Read(s, do); err != nil {
		r.Fatal(err)
	}
}

// TestLooksUpWhatIsThereNow changes nodes at random, names, MACs and addresses
// passing from one to another, and compares every look-up with the nodes
// themselves: in a state that followed, and in one that was built at the end.
func TestLooksUpWhatIsThereNow(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := newRoom(t)
	followed := r.follow()
	roll := catalog.NewRoll(followed)
	names, macs, addresses := []string{"a", "b", "c", "d"}, []string{"52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"}, []string{"10.0.0.1", "10.0.0.2", "fd00::1"}
	nodes := map[string]*inventoryv1.Node{}
	free := func(word string, of func(*inventoryv1.Node) string) bool {
		for _, n := range nodes {
			if of(n) == word {
				return false
			}
		}
		return true
	}
	for step := range 400 {
		id := fmt.Sprint("N", rnd.IntN(4))
		if rnd.IntN(8) == 0 {
			r.upToDate(followed)
			r.sameRoll(roll, nodes)
		}
		delete(nodes, id)
		if rnd.IntN(4) == 0 {
			r.put(catalog.Node, id, nil)
			continue
		}
		n := &inventoryv1.Node{Id: id, Comment: fmt.Sprint(step)}
		if w := names[rnd.IntN(len(names))]; free(w, (*inventoryv1.Node).GetName) {
			n.Name = w
		}
		if w := macs[rnd.IntN(len(macs))]; free(w, (*inventoryv1.Node).GetMac) {
			n.Mac = w
		}
		if w := addresses[rnd.IntN(len(addresses))]; free(w, address) {
			n.Addresses = []*inventoryv1.NodeAddress{{Interface: catalog.BootIf, NetworkId: "W", Address: w}}
		}
		r.put(catalog.Node, id, n)
		nodes[id] = n
	}
	r.upToDate(followed)
	r.sameRoll(roll, nodes)
	for what, s := range map[string]*projection.State{"followed": followed, "built anew": r.follow()} {
		r.read(s, func(v catalog.View) error {
			count := 0
			err := v.Each(catalog.Node, "", func(o *inventoryv1.Object) bool {
				count++
				if !proto.Equal(o.GetNode(), nodes[o.GetNode().Id]) {
					t.Errorf("%s: %v, want %v", what, o.GetNode(), nodes[o.GetNode().Id])
				}
				return true
			})
			if err != nil || count != len(nodes) {
				t.Errorf("%s: %d of %d nodes, %v", what, count, len(nodes), err)
			}
			for _, w := range names {
				o, err := v.Find(catalog.Node, w)
				same(t, what+" name "+w, o.GetNode(), err, nodes, func(n *inventoryv1.Node) bool { return n.Name == w })
			}
			for _, w := range macs {
				n, err := v.NodeByMAC(w)
				same(t, what+" MAC "+w, n, err, nodes, func(n *inventoryv1.Node) bool { return n.Mac == w })
			}
			for _, w := range addresses {
				n, err := v.NodeByAddress("W", netip.MustParseAddr(w))
				same(t, what+" address "+w, n, err, nodes, func(n *inventoryv1.Node) bool { return address(n) == w })
			}
			return nil
		})
	}
}

// sameRoll compares a roll with the nodes.
func (r *room) sameRoll(roll *catalog.Roll, nodes map[string]*inventoryv1.Node) {
	r.Helper()
	err := roll.Read(r.ctx(), func(_ catalog.View, got []*inventoryv1.Node) error {
		if len(got) != len(nodes) {
			r.Errorf("%d nodes on the roll, not %d", len(got), len(nodes))
		}
		for i, n := range got {
			if !proto.Equal(n, nodes[n.Id]) || (i > 0 && got[i-1].Id >= n.Id) {
				r.Errorf("node %d of the roll is %v, want %v", i, n, nodes[n.Id])
			}
		}
		return nil
	})
	if err != nil {
		r.Error(err)
	}
}

func address(n *inventoryv1.Node) string {
	if len(n.GetAddresses()) == 0 {
		return ""
	}
	return n.Addresses[0].Address
}

func same(t *testing.T, what string, got *inventoryv1.Node, err error, nodes map[string]*inventoryv1.Node, is func(*inventoryv1.Node) bool) {
	t.Helper()
	want := ""
	for id, n := range nodes {
		if is(n) {
			want = id
		}
	}
	if err != nil || got.GetId() != want {
		t.Errorf("%s: %q, %v, want %q", what, got.GetId(), err, want)
	}
}

func TestJoinFollowsReferencesThatAreThere(t *testing.T) {
	r := newRoom(t)
	r.put(catalog.Cluster, "C", &inventoryv1.Cluster{Id: "C", FrontendAddress: "10.0.255.254"})
	r.put(catalog.Network, "W", &inventoryv1.Network{Id: "W", Name: "cluster", Cidr: "10.0.0.0/16"})
	r.put(catalog.Osimage, "O", &inventoryv1.Osimage{Id: "O", Name: "compute"})
	r.put(catalog.Group, "G", &inventoryv1.Group{Id: "G", Name: "compute", OsimageId: "O"})
	n := &inventoryv1.Node{Id: "N", Name: "node001", GroupId: "G", Addresses: []*inventoryv1.NodeAddress{
		{Interface: "eth1", NetworkId: "gone", Address: "10.9.0.1"}, {Interface: catalog.BootIf, NetworkId: "W", Address: "10.0.0.1"}}}
	s := r.follow()
	r.read(s, func(v catalog.View) error {
		j, err := v.Join(n)
		if j.FQDN() != "node001.cluster" || j.Address.String() != "10.0.0.1/16" || j.Osimage.GetName() != "compute" || j.Cluster.GetId() != "C" {
			t.Errorf("%+v", j)
		}
		return err
	})
	r.put(catalog.Group, "G", &inventoryv1.Group{Id: "G", Name: "compute", OsimageId: "gone", Domain: "example.org"})
	r.put(catalog.Network, "W", nil)
	r.upToDate(s)
	r.read(s, func(v catalog.View) error {
		j, err := v.Join(n)
		if j.FQDN() != "node001.example.org" || j.Address.IsValid() || j.Network != nil || j.Osimage != nil {
			t.Errorf("%+v", j)
		}
		return err
	})
}

func TestKeepsOnlyWhatIsAsked(t *testing.T) {
	r := newRoom(t)
	r.put(catalog.Node, "N", &inventoryv1.Node{Id: "N", Name: "node001"})
	r.put(catalog.Group, "G", &inventoryv1.Group{Id: "G", Name: "compute"})
	for _, odd := range []string{subject.Object("spaceship", "S"), subject.Change("C"), subject.Object("group", "BAD")} {
		ack, err := r.conn.JS.Publish(r.ctx(), odd, []byte("{")) // of a later version, or broken
		if err != nil {
			t.Fatal(err)
		}
		r.last = ack.Sequence
	}
	r.read(r.follow(catalog.Group), func(v catalog.View) error {
		n, err := v.Object(catalog.Node, "N")
		if n != nil || err != nil {
			t.Errorf("%v, %v", n, err)
		}
		g, err := v.Group("G")
		if g.GetName() != "compute" {
			t.Errorf("%v", g)
		}
		return err
	})
}

// TestFileOfAServiceThatKeepsLess puts one service's state in the place of another's.
func TestFileOfAServiceThatKeepsLess(t *testing.T) {
	r := newRoom(t)
	r.put(catalog.Osimage, "O", &inventoryv1.Osimage{Id: "O", Name: "compute"})
	r.put(catalog.Group, "G", &inventoryv1.Group{Id: "G", Name: "compute"})
	path := filepath.Join(t.TempDir(), "state.db")
	_, end := r.followIn(path, catalog.Group)
	end()
	s, err := projection.Open(path, r.conn, slog.New(slog.NewTextHandler(io.Discard, nil)), catalog.Fold(catalog.Group, catalog.Osimage))
	if err != nil {
		t.Fatal(err)
	}
	if s.Usable() == nil {
		t.Error("a state without osimages was taken for one with them")
	}
}
