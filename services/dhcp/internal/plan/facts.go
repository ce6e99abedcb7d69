package plan

import (
	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Facts is what a plan is made of.
type Facts struct {
	Revision uint64
	Cluster  *inventoryv1.Cluster
	Networks []*inventoryv1.Network
	Groups   map[string]*inventoryv1.Group
	Nodes    []*inventoryv1.Node
	Rests    []*inventoryv1.Rest
	// Links are this host's interfaces.
	Links []Link
	// Interfaces are the names of those to answer on; empty chooses by address.
	Interfaces []string
}

// Read gathers the facts that a state's view has, and its nodes.
func (f *Facts) Read(v catalog.View, nodes []*inventoryv1.Node) (err error) {
	f.Nodes = nodes
	if f.Cluster, err = v.Cluster(); err != nil {
		return err
	}
	if f.Networks, err = v.Networks(); err != nil {
		return err
	}
	f.Groups = map[string]*inventoryv1.Group{}
	err = v.Each(catalog.Group, "", func(o *inventoryv1.Object) bool {
		f.Groups[o.GetGroup().GetId()] = o.GetGroup()
		return true
	})
	if err != nil {
		return err
	}
	return v.Each(catalog.Rest, "", func(o *inventoryv1.Object) bool {
		f.Rests = append(f.Rests, o.GetRest())
		return true
	})
}
