package inventory_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (r *room) diff(req *inventoryv1.DiffRequest) (*inventoryv1.DiffReply, error) {
	return bus.Request(r.ctx(), r.conn, subject.Command("inventory", "history", "diff"), req, &inventoryv1.DiffReply{})
}

// TestDiffDoesNotGuess asks for what the stream keeps no more.
func TestDiffDoesNotGuess(t *testing.T) {
	r := newRoom(t)
	r.describe()
	first := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}).Revision
	var last uint64
	for i := range 70 {
		last = r.do("node", "change", &inventoryv1.NodeChangeRequest{Name: "node001", Comment: proto.String(fmt.Sprint(i))}).Revision
	}
	rep, err := r.diff(&inventoryv1.DiffRequest{Revision: first, To: last})
	if err != nil || len(rep.Objects) != 1 || rep.Objects[0].What != "lost" || len(rep.Objects[0].Fields) > 0 {
		t.Errorf("%v, %v", rep, err)
	}
	rep, err = r.diff(&inventoryv1.DiffRequest{Revision: first})
	if err != nil || len(rep.Objects) != 1 || rep.Objects[0].What != "lost" {
		t.Errorf("%v, %v", rep, err)
	}
	rep, err = r.diff(&inventoryv1.DiffRequest{Revision: last - 2, To: last})
	want := &inventoryv1.FieldDiff{Field: "comment", Before: proto.String("68"), After: proto.String("69")}
	if err != nil || len(rep.Objects) != 1 || len(rep.Objects[0].Fields) != 1 || !proto.Equal(rep.Objects[0].Fields[0], want) {
		t.Errorf("%v, %v", rep, err)
	}
}

// TestDiffOfMany asks for more objects than an answer holds, by command id and by revision.
func TestDiffOfMany(t *testing.T) {
	r := newRoom(t)
	r.describe()
	add, err := r.as("many", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 600})
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []*inventoryv1.DiffRequest{{CommandId: "many"}, {Revision: add.Revision}} {
		rep, err := r.diff(req)
		if err != nil || len(rep.Objects) != 500 || rep.More != 100 || rep.To != add.Revision || rep.Objects[499].What != "added" {
			t.Errorf("%v: %d objects and %d more, %v", req, len(rep.GetObjects()), rep.GetMore(), err)
		}
	}
	for kind, req := range map[fault.Kind]*inventoryv1.DiffRequest{fault.Invalid: {}, fault.NotFound: {CommandId: "nosuch"}} {
		if rep, err := r.diff(req); fault.KindOf(err) != kind {
			t.Errorf("%v: %v, %v", req, rep, err)
		}
	}
}

// TestDiffNamesWhatIsGone deletes what a change named.
func TestDiffNamesWhatIsGone(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.do("bmcsetup", "add", &inventoryv1.BmcsetupAddRequest{Name: "base"})
	set := r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Bmcsetup: proto.String("base")}).Revision
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Bmcsetup: proto.String("")})
	r.do("bmcsetup", "delete", &inventoryv1.DeleteRequest{Name: "base"})
	rep, err := r.diff(&inventoryv1.DiffRequest{Revision: set})
	if err != nil || len(rep.Objects) != 1 || len(rep.Objects[0].Fields) != 1 || rep.Objects[0].Fields[0].GetAfter() != "base" {
		t.Errorf("%v, %v", rep, err)
	}
}
