package inventory_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

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
