package node

import (
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/hostlist"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// chosen returns the nodes that a command is for: those of a host list, of a
// group, or all. The revision is that of one node.
func chosen(d *change.Draft, list, group string, all bool, ifRevision uint64) ([]*inventoryv1.Node, error) {
	ways := 0
	for _, way := range []bool{list != "", group != "", all} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return nil, fault.Invalidf("which nodes? say a name or a host list, a group, or all: one of them")
	}
	if list == "" {
		return members(d, group)
	}
	names, err := hostlist.Expand(maxCount, list)
	if err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	if len(names) > 1 && ifRevision != 0 {
		return nil, fault.Invalidf("if_revision is that of one node, not of %d", len(names))
	}
	var nodes []*inventoryv1.Node
	for _, name := range names {
		o, err := d.Named(catalog.Node, name, ifRevision)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, o.GetNode())
	}
	return nodes, nil
}

// members returns the nodes of a group, or of all groups.
func members(d *change.Draft, group string) ([]*inventoryv1.Node, error) {
	id := ""
	if group != "" {
		o, err := d.Named(catalog.Group, group, 0)
		if err != nil {
			return nil, err
		}
		id = o.GetGroup().Id
	}
	var nodes []*inventoryv1.Node
	err := d.Nodes(func(n *inventoryv1.Node) bool {
		if id == "" || n.GroupId == id {
			nodes = append(nodes, proto.CloneOf(n))
		}
		return true
	})
	return nodes, err
}

// newNames returns the names of nodes to add: those of a host list, or made-up ones.
func newNames(d *change.Draft, list string, count int) ([]string, error) {
	if list == "" {
		return madeUp(d, count)
	}
	names, err := hostlist.Expand(maxCount, list)
	if err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	return names, nil
}
