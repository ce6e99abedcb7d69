package inventory_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

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
