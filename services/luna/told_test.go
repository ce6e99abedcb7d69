package luna_test

import (
	"context"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// boots starts the boot service of a session.
func boots(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Value("boots").(func() error)())
}

// known waits until bootscript knows a node by a name.
func known(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: known NODE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		_, err := bus.Request(ctx, ts.Value("operator").(*bus.Conn), subject.Command("bootscript", "hardware", "show"),
			&bootscriptv1.HardwareShowRequest{Node: args[0]}, &bootscriptv1.HardwareShowReply{})
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("never known: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// told publishes that a node told of its machine, as bootscript does, and
// waits until that is known: told NODE.json RECORD.json, the first being what
// luna node show --output json said.
func told(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: told NODE.json RECORD.json")
	}
	o, r := &inventoryv1.Object{}, &bootscriptv1.HardwareRecord{}
	ts.Check(wire.Event([]byte(ts.ReadFile(args[0])), o))
	ts.Check(wire.Event([]byte(ts.ReadFile(args[1])), r))
	r.Now.NodeId = o.GetNode().GetId()
	data, err := wire.Marshal(r)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = ts.Value("bootscript").(*bus.Conn).JS.Publish(ctx, subject.HardwareOf(r.Now.NodeId), data)
	ts.Check(err)
	for {
		rep, err := bus.Request(ctx, ts.Value("operator").(*bus.Conn), subject.Command("bootscript", "hardware", "show"),
			&bootscriptv1.HardwareShowRequest{Node: o.GetNode().GetName()}, &bootscriptv1.HardwareShowReply{})
		if ctx.Err() != nil {
			ts.Fatalf("never known: %v", err)
		}
		if err == nil && rep.Now.GetTime() == r.Now.Time {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
