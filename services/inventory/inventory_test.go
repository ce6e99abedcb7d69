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
	t    *testing.T
	srv  *natstest.Server
	conn *bus.Conn
}

func newRoom(t *testing.T) *room {
	srv := natstest.Start(t)
	r := &room{t: t, srv: srv, conn: srv.Connect(t, "operator")}
	r.startInventory(srv.Connect(t, "inventory"))
	return r
}

// startInventory starts an inventory with a connection of its own.
func (r *room) startInventory(conn *bus.Conn) {
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
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	for range 200 { // until the endpoints are there
		_, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "history", "list"), &inventoryv1.HistoryRequest{}, &inventoryv1.HistoryReply{})
		if err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Fatal("the inventory does not answer")
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

func TestReadmesCluster(t *testing.T) {
	r := newRoom(t)
	r.describe()
	for i := 1; i <= 3; i++ {
		n := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}).Objects[0].GetNode()
		if want := fmt.Sprintf("node%03d", i); n.Name != want || address(n) != fmt.Sprintf("10.30.0.%d", i) {
			t.Errorf("node %s has %s", n.Name, address(n))
		}
	}
	mac := "52:54:00:AA:00:01"
	r.do("node", "change", &inventoryv1.NodeChangeRequest{Name: "node002", Mac: &mac})
	if n := r.node("node002"); n.Mac != strings.ToLower(mac) || address(n) != "10.30.0.2" {
		t.Errorf("got %v", n)
	}
	r.refused(fault.Conflict, "node002", "node", "change", &inventoryv1.NodeChangeRequest{Name: "node001", Mac: &mac})
}

func TestWrongInputIsNamed(t *testing.T) {
	r := newRoom(t)
	r.refused(fault.Invalid, "frontend_address", "cluster", "init", &inventoryv1.ClusterInitRequest{})
	r.refused(fault.Invalid, "IPv4", "cluster", "init", &inventoryv1.ClusterInitRequest{FrontendAddress: "fd00::1"})
	r.describe()
	r.refused(fault.Conflict, "already", "cluster", "init", &inventoryv1.ClusterInitRequest{FrontendAddress: "10.30.255.254"})
	r.refused(fault.Invalid, "prefix", "network", "add", &inventoryv1.NetworkAddRequest{Name: "x", Network: "10.31.0.0", Prefix: 40})
	r.refused(fault.Conflict, "cluster", "network", "add", &inventoryv1.NetworkAddRequest{Name: "x", Network: "10.30.7.0", Prefix: 24})
	r.refused(fault.Invalid, "10.31.0.1", "cluster", "makedhcp", &inventoryv1.ClusterMakedhcpRequest{Network: "cluster", StartIp: "10.31.0.1", EndIp: "10.31.0.9"})
	r.refused(fault.Conflict, "the head", "cluster", "makedhcp", &inventoryv1.ClusterMakedhcpRequest{Network: "cluster", StartIp: "10.30.255.1", EndIp: "10.30.255.255"})
	r.refused(fault.NotFound, "nosuch", "node", "add", &inventoryv1.NodeAddRequest{Group: "nosuch"})
	r.refused(fault.Invalid, "MAC", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Mac: "zz"})
	r.refused(fault.Invalid, "name", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Name: "$(reboot)"})
	r.refused(fault.Conflict, "DHCP range", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Ip: "10.30.128.7"})
	r.refused(fault.Conflict, "compute", "osimage", "delete", &inventoryv1.DeleteRequest{Name: "compute"})
	r.refused(fault.Conflict, "compute", "network", "delete", &inventoryv1.DeleteRequest{Name: "cluster"})
}

func TestMisspeltFieldIsRefused(t *testing.T) {
	r := newRoom(t)
	msg, err := r.conn.NATS.RequestWithContext(r.ctx(), subject.Command("inventory", "node", "add"), []byte(`{"gruop":"compute"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := msg.Header.Get("Nats-Service-Error"); !strings.Contains(got, "gruop") || msg.Header.Get("Nats-Service-Error-Code") != "400" {
		t.Fatalf("got %q", got)
	}
}

// as sends a command with an id of the test's choice.
func (r *room) as(id, noun, verb string, req proto.Message) (*inventoryv1.ChangeReply, error) {
	return bus.Request(bus.WithCall(r.ctx(), bus.Call{ID: id}), r.conn, subject.Command("inventory", noun, verb), req, &inventoryv1.ChangeReply{})
}

func (r *room) history(req *inventoryv1.HistoryRequest) (*inventoryv1.HistoryReply, error) {
	return bus.Request(r.ctx(), r.conn, subject.Command("inventory", "history", "list"), req, &inventoryv1.HistoryReply{})
}

func TestRepeatedCommandGivesItsFirstResult(t *testing.T) {
	r := newRoom(t)
	r.describe()
	first := map[string]*inventoryv1.ChangeReply{}
	again := func(when string) {
		t.Helper()
		for id, c := range map[string]struct {
			verb string
			req  proto.Message
		}{
			"the-add":    {"add", &inventoryv1.NodeAddRequest{Group: "compute", Name: "login"}},
			"the-change": {"change", &inventoryv1.NodeChangeRequest{Name: "login", Comment: proto.String("first")}},
		} {
			rep, err := r.as(id, "node", c.verb, c.req)
			if err != nil {
				t.Fatalf("%s: %s: %v", when, id, err)
			}
			if !proto.Equal(rep, first[id]) {
				t.Errorf("%s: %s: %v, first it was %v", when, id, rep, first[id])
			}
		}
	}
	var err error
	if first["the-add"], err = r.as("the-add", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Name: "login"}); err != nil {
		t.Fatal(err)
	}
	if n := first["the-add"].Objects[0].GetNode(); n.Name != "login" || address(n) != "10.30.0.1" {
		t.Fatalf("got %v", n)
	}
	if first["the-change"], err = r.as("the-change", "node", "change", &inventoryv1.NodeChangeRequest{Name: "login", Comment: proto.String("first")}); err != nil {
		t.Fatal(err)
	}
	again("at once")
	r.do("node", "change", &inventoryv1.NodeChangeRequest{Name: "login", Comment: proto.String("changed since")})
	again("after a change")
	if n := r.node("login"); n.Comment != "changed since" {
		t.Errorf("the repeated command changed it back: %v", n)
	}
	r.do("node", "rename", &inventoryv1.RenameRequest{Name: "login", Newname: "login2"})
	again("after a rename")
	gone, err := r.as("the-delete", "node", "delete", &inventoryv1.DeleteRequest{Name: "login2"})
	if err != nil {
		t.Fatal(err)
	}
	again("after the deletion")
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Name: "login2"})
	again("after another node took the name")
	if rep, err := r.as("the-delete", "node", "delete", &inventoryv1.DeleteRequest{Name: "login2"}); err != nil || !proto.Equal(rep, gone) {
		t.Errorf("repeated deletion: %v, %v, first it was %v", rep, err, gone)
	}
	if n := r.node("login2"); n == nil {
		t.Error("the repeated deletion took the other node away")
	}
}

func TestCommandIDOfAnotherCommandIsRefused(t *testing.T) {
	r := newRoom(t)
	r.describe()
	add := &inventoryv1.NodeAddRequest{Group: "compute", Comment: "one"}
	first, err := r.as("mine", "node", "add", add)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		verb string
		req  proto.Message
	}{
		"another request": {"add", &inventoryv1.NodeAddRequest{Group: "compute", Comment: "two"}},
		"less":            {"add", &inventoryv1.NodeAddRequest{Group: "compute"}},
		"another command": {"delete", &inventoryv1.DeleteRequest{Name: "node001"}},
	} {
		rep, err := r.as("mine", "node", c.verb, c.req)
		if fault.KindOf(err) != fault.Conflict || err == nil || !strings.Contains(err.Error(), "command id mine") || !strings.Contains(err.Error(), "inventory.node.add") {
			t.Errorf("%s: %v, %v", name, rep, err)
		}
	}
	if rep, err := r.as("mine", "node", "add", add); err != nil || !proto.Equal(rep, first) {
		t.Errorf("the same again: %v, %v", rep, err)
	}
	history, err := r.history(&inventoryv1.HistoryRequest{Name: "node001"})
	if err != nil || len(history.Changes) != 1 {
		t.Errorf("%v, %v", history, err)
	}
}

func TestHistoryTellsWhatBecameOfACommand(t *testing.T) {
	r := newRoom(t)
	r.describe()
	rep, err := r.as("done", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.as("refused", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Name: "node001"}); fault.KindOf(err) != fault.Conflict {
		t.Fatal(err)
	}
	for _, req := range []*inventoryv1.HistoryRequest{{CommandId: "done"}, {Name: "done"}} { // an id may look like a name
		history, err := r.history(req)
		if err != nil || len(history.Changes) != 1 {
			t.Fatalf("%v: %v, %v", req, history, err)
		}
		c := history.Changes[0]
		if c.Revision != rep.Revision || c.Change.Command != "inventory.node.add" || c.Change.CommandId != "done" || len(c.Change.Touched) != 1 || c.Change.Touched[0].Name != "node001" {
			t.Errorf("%v: %v", req, c)
		}
	}
	for _, id := range []string{"refused", "never-sent"} {
		history, err := r.history(&inventoryv1.HistoryRequest{CommandId: id})
		if fault.KindOf(err) != fault.NotFound || err == nil || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), "it was not done") {
			t.Errorf("%s: %v, %v", id, history, err)
		}
	}
}

// TestHistoryDoesNotGuess asks while the stream cannot be asked: a record that
// is known is shown, but what is not known may have been done since.
func TestHistoryDoesNotGuess(t *testing.T) {
	r := newRoom(t)
	r.describe()
	if _, err := r.as("done", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}); err != nil {
		t.Fatal(err)
	}
	if err := r.conn.JS.DeleteStream(r.ctx(), subject.Inventory); err != nil {
		t.Fatal(err)
	}
	if history, err := r.history(&inventoryv1.HistoryRequest{CommandId: "done"}); err != nil || len(history.Changes) != 1 {
		t.Errorf("%v, %v", history, err)
	}
	_, err := r.history(&inventoryv1.HistoryRequest{CommandId: "other"})
	if fault.KindOf(err) != fault.Unavailable || err == nil || !strings.Contains(err.Error(), "outcome unknown") {
		t.Errorf("got %v", err)
	}
}

func TestFreedAddressRests(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
	r.do("node", "delete", &inventoryv1.DeleteRequest{Name: "node001"})
	n := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}).Objects[0].GetNode()
	if address(n) != "10.30.0.2" {
		t.Fatalf("node got %s", address(n))
	}
	r.refused(fault.Conflict, "given up", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Ip: "10.30.0.1"})
}

func TestHeadsAndReservationsTakeNoNodesAddress(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
	for _, c := range []struct{ part, address string }{{"node001", "10.30.0.1"}, {"DHCP range", "10.30.128.1"}} {
		r.refused(fault.Conflict, c.part, "cluster", "change", &inventoryv1.ClusterChangeRequest{FrontendAddress: &c.address})
		r.refused(fault.Conflict, c.part, "cluster", "change", &inventoryv1.ClusterChangeRequest{ClusterIps: proto.String("10.30.255.253," + c.address)})
	}
	r.refused(fault.Conflict, "node001", "network", "change", &inventoryv1.NetworkChangeRequest{Name: "cluster", Reserve: proto.String("10.30.0.1")})
	r.do("network", "change", &inventoryv1.NetworkChangeRequest{Name: "cluster", Reserve: proto.String("10.30.0.2")})
	r.do("cluster", "change", &inventoryv1.ClusterChangeRequest{FrontendAddress: proto.String("10.30.0.3"), ClusterIps: proto.String("10.30.0.4")})
	r.do("cluster", "change", &inventoryv1.ClusterChangeRequest{Comment: proto.String("its own addresses are no hindrance")})
	if n := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}).Objects[0].GetNode(); address(n) != "10.30.0.5" {
		t.Errorf("got %v", n)
	}
}

func TestSecondEditorIsTold(t *testing.T) {
	r := newRoom(t)
	r.describe()
	show, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "group", "show"), &inventoryv1.ShowRequest{Name: "compute"}, &inventoryv1.ShowReply{})
	if err != nil {
		t.Fatal(err)
	}
	seen := show.Object.Sequence
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Prescript: proto.String("echo 1\n"), IfRevision: seen})
	r.refused(fault.Conflict, "changed meanwhile", "group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Prescript: proto.String("echo 2\n"), IfRevision: seen})
}

func TestNetworkOnInterfaceGivesAllNodesAddresses(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.do("network", "add", &inventoryv1.NetworkAddRequest{Name: "storage", Network: "fd00:1::", Prefix: 64})
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 20})
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Interface: "ib0", InterfaceAdd: true, Setnet: "storage"})
	n := r.node("node020")
	if len(n.Addresses) != 2 || n.Addresses[1].Address != "fd00:1::14" || n.Addresses[1].Interface != "ib0" {
		t.Fatalf("got %v", n.Addresses)
	}
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Interface: "ib0", Delnet: "storage"})
	if n := r.node("node020"); len(n.Addresses) != 1 {
		t.Fatalf("got %v", n.Addresses)
	}
}

func TestTwoInventoriesGiveNoAddressTwice(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.startInventory(r.srv.Connect(r.t, "inventory"))
	const clients, each = 8, 12
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	owner := map[string]string{}
	for range clients {
		wg.Go(func() {
			for range each {
				rep, err := r.try("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
				if err != nil {
					t.Error(err)
					return
				}
				n := rep.Objects[0].GetNode()
				mu.Lock()
				if other := owner[address(n)]; other != "" {
					t.Errorf("%s and %s have %s", other, n.Name, address(n))
				}
				owner[address(n)] = n.Name
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(owner) != clients*each {
		t.Fatalf("%d addresses for %d nodes", len(owner), clients*each)
	}
}

func TestThousandNodesAreOneChange(t *testing.T) {
	r := newRoom(t)
	r.describe()
	rep := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 1000})
	if len(rep.Objects) != 100 {
		t.Fatalf("%d objects in the reply", len(rep.Objects))
	}
	history, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "history", "list"), &inventoryv1.HistoryRequest{CommandId: rep.CommandId}, &inventoryv1.HistoryReply{})
	if err != nil || history.Changes[0].Revision != rep.Revision {
		t.Fatalf("%v %v", history, err)
	}
	var names []string
	for after := ""; ; {
		list, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{After: after}, &inventoryv1.ListReply{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Objects {
			names = append(names, o.GetNode().Name)
		}
		if after = list.Next; after == "" {
			break
		}
	}
	if len(names) != 1000 || names[0] != "node001" || names[999] != "node999" {
		t.Fatalf("%d nodes, %s to %s", len(names), names[0], names[len(names)-1])
	}
}

// nodesText describes n nodes in one group.
func nodesText(n int) string {
	var text strings.Builder
	text.WriteString("networks: {cluster: {network: 10.30.0.0/16}}\ngroups: {compute: {interfaces: [{name: BOOTIF, networks: [cluster]}]}}\nnodes:\n")
	for i := range n {
		fmt.Fprintf(&text, "  node%05d:\n    group: compute\n    mac: 52:54:00:00:%02x:%02x\n", i, i>>8, i&0xff)
	}
	return text.String()
}

// TestTenThousandNodesAreImported sends a text that is too big for a message, by
// way of the bucket of inputs, and gets the inventory back in the same way.
func TestTenThousandNodesAreImported(t *testing.T) {
	r := newRoom(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	store, err := r.conn.JS.ObjectStore(ctx, subject.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	load := func(text string) *inventoryv1.ChangeReply {
		t.Helper()
		begin := time.Now()
		info, err := store.PutString(ctx, bus.NewID(), text)
		if err != nil {
			t.Fatal(err)
		}
		rep, err := bus.Request(ctx, r.conn, subject.Command("inventory", "all", "import"), &inventoryv1.ImportRequest{Object: info.Name}, &inventoryv1.ChangeReply{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bytes in %v: %v", len(text), time.Since(begin).Round(time.Millisecond), rep.Notes)
		return rep
	}
	if rep := load(nodesText(10000)); len(rep.Notes) != 1 || rep.Notes[0] != "added 1 network, 1 group, 10000 nodes" {
		t.Fatalf("%q", rep.Notes)
	}
	begin := time.Now()
	rep, err := bus.Request(ctx, r.conn, subject.Command("inventory", "all", "export"), &inventoryv1.ExportRequest{}, &inventoryv1.ExportReply{})
	if err != nil || rep.Object == "" {
		t.Fatalf("%v, %v", rep, err)
	}
	exported, err := store.GetString(ctx, rep.Object)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("exported %d bytes in %v", len(exported), time.Since(begin).Round(time.Millisecond))
	if again := load(exported); again.Revision != 0 || len(again.Notes) > 0 {
		t.Errorf("what was exported changed something: revision %d, %q", again.Revision, again.Notes)
	}
	if n := r.node("node09999"); n.Mac != "52:54:00:00:27:0f" || address(n) != "10.30.39.16" {
		t.Errorf("%v", n)
	}
}

// TestImportsRecordTellsNoPassword looks at what the history keeps of a text.
func TestImportsRecordTellsNoPassword(t *testing.T) {
	r := newRoom(t)
	req := &inventoryv1.ImportRequest{Yaml: "bmcsetups: {base: {password: s3cret}}"}
	if _, err := r.as("mine", "all", "import", req); err != nil {
		t.Fatal(err)
	}
	history, err := r.history(&inventoryv1.HistoryRequest{CommandId: "mine"})
	if err != nil || strings.Contains(history.Changes[0].Change.Request, "s3cret") {
		t.Errorf("%v, %v", history, err)
	}
	if rep, err := r.as("mine", "all", "import", req); err != nil || rep.Revision != history.Changes[0].Revision || len(rep.Notes) != 1 {
		t.Errorf("repeated: %v, %v", rep, err)
	}
	_, err = r.as("mine", "all", "import", &inventoryv1.ImportRequest{Yaml: "bmcsetups: {base: {password: other}}"})
	if fault.KindOf(err) != fault.Conflict {
		t.Errorf("another text with the same id: %v", err)
	}
	r.refused(fault.NotFound, "there is no object", "all", "import", &inventoryv1.ImportRequest{Object: "gone"})
	r.refused(fault.Invalid, "one of them", "all", "import", &inventoryv1.ImportRequest{})
	r.refused(fault.Invalid, "leave it out", "all", "import", &inventoryv1.ImportRequest{Mark: "x"})
	r.refused(fault.Invalid, "line 2", "all", "import", &inventoryv1.ImportRequest{Yaml: "x: ["})
}
