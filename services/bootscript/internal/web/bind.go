package web

import (
	"context"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
)

// bindPatience is how long the inventory may take; a machine is waiting.
const bindPatience = 10 * time.Second

// Inventory binds MACs by a command to the inventory.
type Inventory struct {
	Conn  *bus.Conn
	State *projection.State
}

// Bind writes a MAC to a node and returns when this service's own state shows it.
func (i Inventory) Bind(ctx context.Context, node string, mac machine.MAC, sequence uint64, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, bindPatience)
	defer cancel()
	ctx = bus.WithCall(ctx, bus.Call{Author: "bootscript", Reason: reason})
	word := string(mac)
	rep, err := bus.Request(ctx, i.Conn, subject.Command("inventory", "node", "change"),
		&inventoryv1.NodeChangeRequest{Name: node, Mac: &word, IfRevision: sequence}, &inventoryv1.ChangeReply{})
	if err != nil {
		return err
	}
	return i.State.WaitFor(ctx, subject.Inventory, rep.Revision)
}
