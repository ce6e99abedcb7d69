package inventory_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// everything is one object of each kind, changed with a word; nodes and others are deleted and added again by name.
func (r *room) everything() {
	r.describe()
	r.do("network", "add", &inventoryv1.NetworkAddRequest{Name: "ipmi", Network: "10.31.0.0", Prefix: 16})
	r.do("bmcsetup", "add", &inventoryv1.BmcsetupAddRequest{Name: "base"})
	r.do("switch", "add", &inventoryv1.SwitchAddRequest{Name: "switch01", Network: "ipmi", Ip: "10.31.253.21"})
	r.do("otherdev", "add", &inventoryv1.OtherdevAddRequest{Name: "pdu1", Network: "ipmi", Ip: "10.31.253.99"})
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 4})
}

// touch changes every object.
func (r *room) touch(word string) {
	note := proto.String(word)
	r.do("cluster", "change", &inventoryv1.ClusterChangeRequest{Comment: note})
	for _, name := range []string{"cluster", "ipmi"} {
		r.do("network", "change", &inventoryv1.NetworkChangeRequest{Name: name, Comment: note})
	}
	r.do("osimage", "change", &inventoryv1.OsimageChangeRequest{Name: "compute", Comment: note})
	r.do("bmcsetup", "change", &inventoryv1.BmcsetupChangeRequest{Name: "base", Comment: note})
	r.do("switch", "change", &inventoryv1.SwitchChangeRequest{Name: "switch01", Comment: note})
	r.do("otherdev", "change", &inventoryv1.OtherdevChangeRequest{Name: "pdu1", Comment: note})
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Comment: note})
	r.do("node", "change", &inventoryv1.NodeChangeRequest{All: true, Comment: note})
}

// again deletes objects and adds others under their names, and lets two nodes change names.
func (r *room) again(round int) {
	r.do("node", "delete", &inventoryv1.NodeDeleteRequest{Name: "node002"})
	r.do("node", "add", &inventoryv1.NodeAddRequest{Name: "node002", Group: "compute", Mac: "52:54:00:00:00:02"})
	for _, names := range [][2]string{{"node003", "swap"}, {"node004", "node003"}, {"swap", "node004"}} {
		r.do("node", "rename", &inventoryv1.RenameRequest{Name: names[0], Newname: names[1]})
	}
	r.do("switch", "delete", &inventoryv1.DeleteRequest{Name: "switch01"})
	r.do("switch", "add", &inventoryv1.SwitchAddRequest{Name: "switch01", Network: "ipmi", Ip: fmt.Sprintf("10.31.252.%d", round+1)}) // the old address rests
	r.do("group", "add", &inventoryv1.GroupAddRequest{Name: "short", Osimage: "compute", Network: "cluster"})
	r.do("group", "delete", &inventoryv1.DeleteRequest{Name: "short"})
}

// answers are those to all questions, by question.
func (r *room) answers(ids []string) map[string]proto.Message {
	r.t.Helper()
	all := map[string]proto.Message{}
	ask := func(noun, verb, what string, req, rep proto.Message) {
		rep, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", noun, verb), req, rep)
		if err != nil {
			r.t.Fatalf("%s %s %s: %v", noun, verb, what, err)
		}
		all[noun+" "+verb+" "+what] = rep
	}
	for _, noun := range []string{"network", "osimage", "bmcsetup", "switch", "otherdev", "group", "node"} {
		ask(noun, "list", "", &inventoryv1.ListRequest{Limit: 2000}, &inventoryv1.ListReply{})
	}
	ask("cluster", "show", "", &inventoryv1.ShowRequest{}, &inventoryv1.ShowReply{})
	ask("history", "list", "", &inventoryv1.HistoryRequest{Limit: 500}, &inventoryv1.HistoryReply{})
	for i := 1; i <= 4; i++ {
		name := fmt.Sprintf("node%03d", i)
		ask("node", "show", name, &inventoryv1.ShowRequest{Name: name}, &inventoryv1.ShowReply{})
		ask("node", "explain", name, &inventoryv1.NameRequest{Name: name}, &inventoryv1.ExplainReply{})
	}
	for _, id := range ids {
		ask("history", "list", id, &inventoryv1.HistoryRequest{CommandId: id}, &inventoryv1.HistoryReply{})
	}
	ask("all", "export", "", &inventoryv1.ExportRequest{}, &inventoryv1.ExportReply{})
	return all
}

// TestRebuiltInventoryAnswersAsTheKeptOne changes every object more often than
// the stream keeps, deletes some and adds others under their names, and asks an
// inventory that followed all of it and one that begins with nothing.
func TestRebuiltInventoryAnswersAsTheKeptOne(t *testing.T) {
	t.Parallel()
	r := emptyRoom(t)
	stop := r.startInventory(r.srv.Connect(t, "inventory"))
	r.everything()
	for round := range 70 {
		r.touch(fmt.Sprintf("round %d", round))
		if round%10 == 3 {
			r.again(round)
		}
	}
	ids := []string{"last-add", "last-change"}
	for id, c := range map[string]struct {
		verb string
		req  proto.Message
	}{ids[0]: {"add", &inventoryv1.NodeAddRequest{Group: "compute"}}, ids[1]: {"change", &inventoryv1.NodeChangeRequest{Name: "node001", Service: proto.Bool(true)}}} {
		if _, err := r.as(id, "node", c.verb, c.req); err != nil {
			t.Fatal(err)
		}
	}
	r.trimmed()
	kept := r.answers(ids)
	stop()
	r.startInventory(r.srv.Connect(t, "inventory"))
	anew := r.answers(ids)
	for _, question := range slices.Sorted(maps.Keys(kept)) {
		if !proto.Equal(kept[question], anew[question]) {
			t.Errorf("%s:\n%v\nbuilt anew:\n%v", question, kept[question], anew[question])
		}
	}
	if n := len(anew["node list "].(*inventoryv1.ListReply).Objects); n != 5 {
		t.Errorf("%d nodes, want 5", n)
	}
}

// trimmed fails unless of most objects the stream has lost the first versions.
func (r *room) trimmed() {
	r.t.Helper()
	stream, err := r.conn.JS.Stream(r.ctx(), subject.Inventory)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := stream.Info(r.ctx(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		r.t.Fatal(err)
	}
	full := 0
	for _, versions := range info.State.Subjects {
		if versions == uint64(info.Config.MaxMsgsPerSubject) {
			full++
		}
	}
	if full < 10 { // the cluster, two networks, an osimage, a set-up, a device, a group, three nodes
		r.t.Errorf("only %d objects were changed more often than the stream keeps", full)
	}
}

// TestTwoEditorsAtOnce lets two administrators, of two inventories, write one
// script that both have read.
func TestTwoEditorsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.startInventory(r.srv.Connect(t, "inventory"))
	r.describe()
	editors := []*bus.Conn{r.srv.Connect(t, "first"), r.srv.Connect(t, "second")}
	for round := range 20 {
		show, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "group", "show"), &inventoryv1.ShowRequest{Name: "compute"}, &inventoryv1.ShowReply{})
		if err != nil {
			t.Fatal(err)
		}
		errs := make([]error, len(editors))
		text := func(i int) string { return fmt.Sprintf("echo %d by %d\n", round, i) }
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i, conn := range editors {
			all.Go(func() {
				<-begin
				_, errs[i] = bus.Request(context.WithoutCancel(r.ctx()), conn, subject.Command("inventory", "group", "change"),
					&inventoryv1.GroupChangeRequest{Name: "compute", Prescript: proto.String(text(i)), IfRevision: show.Object.Sequence}, &inventoryv1.ChangeReply{})
			})
		}
		close(begin)
		all.Wait()
		won := slices.Index(errs, nil)
		if won < 0 || fault.KindOf(errs[1-won]) != fault.Conflict {
			t.Fatalf("the editors were told: %v", errs)
		}
		show, err = bus.Request(r.ctx(), r.conn, subject.Command("inventory", "group", "show"), &inventoryv1.ShowRequest{Name: "compute"}, &inventoryv1.ShowReply{})
		if err != nil || show.Object.GetGroup().Prescript != text(won) {
			t.Fatalf("the script is %q, %v; %d won", show.GetObject().GetGroup().GetPrescript(), err, won)
		}
	}
}
