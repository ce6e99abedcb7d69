package roster

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	powerv1 "github.com/luna-hpc/luna/proto/power/v1"
)

// desk is a state that follows a bus.
type desk struct {
	t     *testing.T
	conn  *bus.Conn
	state *projection.State
	key   secret.Key
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	key, err := secret.MakeKey(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, conn: natstest.Start(t).Connect(t, "power"), key: key}
	if d.state, err = projection.Open(filepath.Join(dir, "state.db"), d.conn, slog.New(slog.DiscardHandler), catalog.Fold(catalog.Group, catalog.Node, catalog.Bmcsetup), secret.Fold()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.state.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return d
}

func (d *desk) put(m proto.Message) {
	d.t.Helper()
	noun, _ := catalog.Unwrap(catalog.Wrap(m))
	data, err := wire.Marshal(m)
	if err == nil {
		_, err = d.conn.JS.PublishAsync(subject.Object(string(noun), m.(interface{ GetId() string }).GetId()), data)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) seal(key secret.Key, id, text string) {
	d.t.Helper()
	data, err := key.Seal(id, []byte(text))
	if err == nil {
		_, err = d.conn.JS.PublishAsync(subject.Secret(id), data)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// find returns a line an entry, or the error with its kind.
func (d *desk) find(req *powerv1.PowerRequest) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-d.conn.JS.PublishAsyncComplete():
	case <-ctx.Done():
		d.t.Fatal("what was published is not stored")
	}
	if err := d.state.CatchUp(ctx); err != nil {
		d.t.Fatal(err)
	}
	var lines []string
	err := d.state.View(func(tx *projection.Tx) error {
		entries, err := Find(tx, d.key, req)
		for _, e := range entries {
			c := e.Controller
			line := fmt.Sprintf("%s %s %s:%s %s", e.Node, c.Protocol, c.User, c.Password.Reveal(), c.Address)
			if e.Err != nil {
				line = fmt.Sprintf("%s %v (%s)", e.Node, e.Err, fault.KindOf(e.Err))
			}
			lines = append(lines, line)
		}
		return err
	})
	if err != nil {
		return fmt.Sprintf("%v (%s)", err, fault.KindOf(err))
	}
	return strings.Join(lines, "\n")
}

func node(name, group string, addresses ...*inventoryv1.NodeAddress) *inventoryv1.Node {
	return &inventoryv1.Node{Id: "N-" + name, Name: name, GroupId: group, Addresses: addresses}
}

func at(interfaceName, address string) *inventoryv1.NodeAddress {
	return &inventoryv1.NodeAddress{Interface: interfaceName, NetworkId: "T1", Address: address}
}

func TestWhoIsAskedAndWhoIsNot(t *testing.T) {
	d := newDesk(t)
	other, err := secret.MakeKey(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	d.seal(d.key, "P1", "s3cret")
	d.seal(other, "P2", "s3cret")
	for i, b := range []*inventoryv1.Bmcsetup{{PasswordId: "P1", Protocol: "ipmi"}, {PasswordId: "P2"}, {PasswordId: "P3"}, {}} {
		b.Id, b.Name, b.User = fmt.Sprint("B", i+1), fmt.Sprint("setup", i+1), "ladmin"
		d.put(b)
	}
	for i, name := range []string{"compute", "otherkey", "late", "open", "bare", "empty"} {
		setup := fmt.Sprint("B", i+1)
		if i > 3 {
			setup = ""
		}
		d.put(&inventoryv1.Group{Id: "G-" + name, Name: name, BmcsetupId: setup})
	}
	d.put(node("node10", "G-compute", at(catalog.BootIf, "10.30.0.10"), at(catalog.BMC, "10.31.0.10")))
	d.put(node("node9", "G-compute", at(catalog.BMC, "10.31.0.9")))
	d.put(node("node11", "G-compute", at(catalog.BootIf, "10.30.0.11")))
	for i, group := range []string{"otherkey", "late", "open", "bare"} {
		d.put(node(fmt.Sprint("x", i+1), "G-"+group, at(catalog.BMC, "10.31.1.1")))
	}
	const noAddress = "node11 not done: it has no BMC address: luna group change compute -i BMC -A --setnet NET (conflict)"
	const compute = "node9 ipmi ladmin:s3cret 10.31.0.9\nnode10 ipmi ladmin:s3cret 10.31.0.10\n" + noAddress
	const others = "x1 not done: the password of BMC set-up setup2 cannot be opened with this head's secret.key: every head needs the same one (unavailable)\n" +
		"x2 not done: the password of BMC set-up setup3: secret P3 has not reached this head (unavailable)\n" +
		"x3 not done: BMC set-up setup4 has no password: luna bmcsetup change setup4 --password PASSWORD (conflict)\n" +
		"x4 not done: group bare has no BMC set-up: luna bmcsetup add NAME --user USER --password PASSWORD; luna group change bare -b NAME (conflict)"
	for _, c := range []struct {
		req  *powerv1.PowerRequest
		want string
	}{
		{&powerv1.PowerRequest{Group: "compute"}, compute},
		{&powerv1.PowerRequest{All: true}, compute + "\n" + others},
		{&powerv1.PowerRequest{Nodes: []string{"node[9-10]", "node9,node12"}}, "node9 ipmi ladmin:s3cret 10.31.0.9\nnode10 ipmi ladmin:s3cret 10.31.0.10\nnode12 there is no such node (not found)"},
		{&powerv1.PowerRequest{Nodes: []string{"node[9-"}}, `host list "node[9-", character 5: [ without ] (invalid)`},
		{&powerv1.PowerRequest{Nodes: []string{"n[1-5001]"}}, `more than 5000 names in "n[1-5001]": the limit is 5000 at a time (invalid)`},
		{&powerv1.PowerRequest{Group: "gpu"}, `there is no group "gpu" (not found)`},
		{&powerv1.PowerRequest{Group: "empty"}, "group empty has no nodes (not found)"},
		{&powerv1.PowerRequest{}, "which nodes? name them, as in node[001-003], or a group, or say all (invalid)"},
		{&powerv1.PowerRequest{All: true, Group: "compute"}, "nodes, a group and all are three ways to say which nodes: use one of them (invalid)"},
	} {
		if got := d.find(c.req); got != c.want {
			t.Errorf("%v:\n%s\nwant\n%s", c.req, got, c.want)
		}
	}
}

func TestAGroupOfTooManyIsRefused(t *testing.T) {
	d := newDesk(t)
	d.put(&inventoryv1.Group{Id: "G1", Name: "compute"})
	for i := range Most + 1 {
		d.put(node(fmt.Sprintf("node%04d", i), "G1"))
	}
	want := "group compute has 5001 nodes: the limit is 5000 at a time; name them in parts (invalid)"
	if got := d.find(&powerv1.PowerRequest{Group: "compute"}); got != want {
		t.Error(got)
	}
}
