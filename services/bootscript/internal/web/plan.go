package web

import (
	"net/netip"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
	"github.com/luna-hpc/luna/services/bootscript/internal/shelf"
)

// Planner makes plans from what this head holds.
type Planner struct {
	Shelf *shelf.Shelf
	// Known is what was decoded for nodes before.
	Known *catalog.Known
	// Head is this head's name.
	Head string
}

// PlanOf returns the plan of a node that asked at an address of a head. What cannot stand in a script is a reason
// not to boot as well.
func (p Planner) PlanOf(tx *projection.Tx, n *inventoryv1.Node, asked netip.Addr) (plan.Plan, error) {
	made, err := plan.Of(p.Known.Of(tx), n, p.Head, asked, func(id string, overlay bool) (*imagepackerv1.Release, string, error) {
		return p.Shelf.Current(tx, id, overlay)
	})
	if err == nil && made.Reason == "" {
		made.Reason = made.Check()
	}
	return made, err
}
