package zone

import (
	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Facts is what zones are made of.
type Facts struct {
	Revision uint64
	// Head is the name of this head.
	Head     string
	Cluster  *inventoryv1.Cluster
	Networks []*inventoryv1.Network
	Groups   map[string]*inventoryv1.Group
	Nodes    []*inventoryv1.Node
	// Others are machines that have one address in a network and are no nodes.
	Others []Other
}

// Other is a switch or another device that DNS knows by name.
type Other struct{ Name, NetworkID, Address string }

// Read gathers the facts of a state's view and its nodes.
func Read(v catalog.View, nodes []*inventoryv1.Node) (f Facts, err error) {
	f.Nodes = nodes
	f.Groups = map[string]*inventoryv1.Group{}
	if f.Cluster, err = v.Cluster(); err != nil {
		return f, err
	}
	if f.Networks, err = v.Networks(); err != nil {
		return f, err
	}
	err = v.Each(catalog.Group, "", func(o *inventoryv1.Object) bool {
		f.Groups[o.GetGroup().GetId()] = o.GetGroup()
		return true
	})
	if err != nil {
		return f, err
	}
	switches, err := v.Switches()
	if err != nil {
		return f, err
	}
	for _, s := range switches {
		f.Others = append(f.Others, Other{Name: s.Name, NetworkID: s.NetworkId, Address: s.Ip})
	}
	others, err := v.Otherdevs()
	if err != nil {
		return f, err
	}
	for _, o := range others {
		for _, a := range o.Addresses {
			f.Others = append(f.Others, Other{Name: o.Name, NetworkID: a.NetworkId, Address: a.Address})
		}
	}
	return f, nil
}
