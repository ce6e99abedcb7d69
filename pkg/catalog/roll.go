package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Roll is all nodes of a state in memory, for one goroutine that looks at all of
// them again and again: only what was changed is read anew.
type Roll struct {
	state *projection.State
	mark  projection.Mark
	nodes []*inventoryv1.Node
}

// NewRoll returns a roll of a state, which is read at the first Read.
func NewRoll(s *projection.State) *Roll { return &Roll{state: s} }

// Read calls do with a view and all its nodes in the order of their ids, as they
// stand in that view. The nodes are the roll's: they must not be changed, and
// the slice is good until the next Read.
func (r *Roll) Read(ctx context.Context, do func(v View, nodes []*inventoryv1.Node) error) error {
	mark, err := r.state.ViewSince(ctx, subject.Inventory, r.mark, func(tx *projection.Tx, subjects []string, known bool) error {
		v := Of(tx)
		if err := r.update(v, subjects, known); err != nil {
			return err
		}
		return do(v, r.nodes)
	})
	if err != nil {
		mark = projection.Mark{} // what was read of it may be half
	}
	r.mark = mark
	return err
}

func (r *Roll) update(v View, subjects []string, known bool) error {
	if !known {
		r.nodes = nil
		return v.Nodes(func(n *inventoryv1.Node) bool { r.nodes = append(r.nodes, n); return true })
	}
	for _, s := range subjects {
		noun, id, _ := subject.ParseObject(s)
		if Noun(noun) != Node {
			continue
		}
		n, err := v.Node(id)
		if err != nil {
			return err
		}
		r.set(id, n)
	}
	return nil
}

// set puts a node in its place, or takes it away.
func (r *Roll) set(id string, n *inventoryv1.Node) {
	i, there := slices.BinarySearchFunc(r.nodes, id, func(n *inventoryv1.Node, id string) int { return strings.Compare(n.Id, id) })
	switch {
	case n == nil && there:
		r.nodes = slices.Delete(r.nodes, i, i+1)
	case n != nil && there:
		r.nodes[i] = n
	case n != nil:
		r.nodes = slices.Insert(r.nodes, i, n)
	}
}
