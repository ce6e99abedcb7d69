package inventory_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory"
)

// room is a bus with an inventory and somebody who asks it.
type room struct {
	t    testing.TB
	srv  *natstest.Server
	conn *bus.Conn
}

func newRoom(t testing.TB) *room {
	r := emptyRoom(t)
	r.startInventory(r.srv.Connect(t, "inventory"))
	return r
}

// emptyRoom has no inventory yet.
func emptyRoom(t testing.TB) *room {
	srv := natstest.Start(t)
	return &room{t: t, srv: srv, conn: srv.Connect(t, "operator")}
}

// startInventory starts an inventory with a connection of its own and no state; it ends with the test, or before.
func (r *room) startInventory(conn *bus.Conn) (stop func()) {
	r.t.Helper()
	dir := r.t.TempDir()
	key := filepath.Join(dir, "secret.key")
	if _, err := secret.MakeKey(key); err != nil {
		r.t.Fatal(err)
	}
	task, err := inventory.New(inventory.Default(), run.Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Bus: conn, SecretKey: key, Data: dir,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(stop)
	for range 200 { // until the endpoints are there
		_, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "history", "list"), &inventoryv1.HistoryRequest{}, &inventoryv1.HistoryReply{})
		if err == nil && task.Ready() == nil {
			return stop
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Fatal("the inventory does not answer")
	return nil
}

func (r *room) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *room) try(noun, verb string, req proto.Message) (*inventoryv1.ChangeReply, error) {
	return bus.Request(r.ctx(), r.conn, subject.Command("inventory", noun, verb), req, &inventoryv1.ChangeReply{})
}

func (r *room) do(noun, verb string, req proto.Message) *inventoryv1.ChangeReply {
	r.t.Helper()
	rep, err := r.try(noun, verb, req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", noun, verb, err)
	}
	return rep
}

func (r *room) refused(kind fault.Kind, part, noun, verb string, req proto.Message) {
	r.t.Helper()
	_, err := r.try(noun, verb, req)
	if fault.KindOf(err) != kind || err == nil || !strings.Contains(err.Error(), part) {
		r.t.Errorf("%s %s: %v, want %s with %q", noun, verb, err, kind, part)
	}
}

func (r *room) describe() {
	r.do("cluster", "init", &inventoryv1.ClusterInitRequest{FrontendAddress: "10.30.255.254"})
	r.do("network", "add", &inventoryv1.NetworkAddRequest{Name: "cluster", Network: "10.30.4.1", Prefix: 16})
	r.do("cluster", "makedhcp", &inventoryv1.ClusterMakedhcpRequest{Network: "cluster", StartIp: "10.30.128.1", EndIp: "10.30.140.255"})
	r.do("osimage", "add", &inventoryv1.OsimageAddRequest{Name: "compute", Path: "/opt/luna/os/compute", Head: "head"})
	r.do("group", "add", &inventoryv1.GroupAddRequest{Name: "compute", Osimage: "compute", Network: "cluster"})
}

func (r *room) node(name string) *inventoryv1.Node {
	r.t.Helper()
	rep, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "node", "show"), &inventoryv1.ShowRequest{Name: name}, &inventoryv1.ShowReply{})
	if err != nil {
		r.t.Fatal(err)
	}
	return rep.Object.GetNode()
}

func address(n *inventoryv1.Node) string {
	if len(n.GetAddresses()) == 0 {
		return ""
	}
	return n.Addresses[0].Address
}

// as sends a command with an id of the test's choice.
func (r *room) as(id, noun, verb string, req proto.Message) (*inventoryv1.ChangeReply, error) {
	return bus.Request(bus.WithCall(r.ctx(), bus.Call{ID: id}), r.conn, subject.Command("inventory", noun, verb), req, &inventoryv1.ChangeReply{})
}

func (r *room) history(req *inventoryv1.HistoryRequest) (*inventoryv1.HistoryReply, error) {
	return bus.Request(r.ctx(), r.conn, subject.Command("inventory", "history", "list"), req, &inventoryv1.HistoryReply{})
}
