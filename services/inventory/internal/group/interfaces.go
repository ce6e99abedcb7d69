package group

import (
	"net/netip"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/node"
)

// changeInterface adds, removes, renames or connects an interface of every node of a group.
func changeInterface(d *change.Draft, g *inventoryv1.Group, r *inventoryv1.GroupChangeRequest) error {
	if r.Interface == "" {
		if r.InterfaceAdd || r.InterfaceDelete || r.Setnet != "" || r.Delnet != "" || r.Options != nil || r.InterfaceRename != "" || describes(r) {
			return fault.Invalidf("which interface? --interface IF")
		}
		return nil
	}
	if err := inventoryv1.CheckInterface(r.Interface); err != nil {
		return fault.Invalidf("%w", err)
	}
	at := index(g, r.Interface)
	if r.InterfaceAdd && at < 0 {
		g.Interfaces = append(g.Interfaces, &inventoryv1.Interface{Name: r.Interface})
		at = len(g.Interfaces) - 1
	}
	if at < 0 {
		return fault.NotFoundf("group %s has no interface %s", g.Name, r.Interface)
	}
	old := r.Interface
	i := g.Interfaces[at]
	if r.Options != nil {
		if err := inventoryv1.CheckText("options", *r.Options); err != nil {
			return fault.Invalidf("%w", err)
		}
		i.Options = *r.Options
	}
	if r.InterfaceRename != "" {
		if err := rename(g, i, r.InterfaceRename); err != nil {
			return err
		}
	}
	if err := describe(i, r); err != nil {
		return err
	}
	if err := connect(d, i, r); err != nil {
		return err
	}
	if r.InterfaceDelete {
		g.Interfaces = slices.Delete(g.Interfaces, at, at+1)
	}
	if err := CheckInterfaces(g); err != nil {
		return err
	}
	return readdress(d, g, old, r.InterfaceRename)
}

func index(g *inventoryv1.Group, name string) int {
	return slices.IndexFunc(g.Interfaces, func(i *inventoryv1.Interface) bool { return i.Name == name })
}

func rename(g *inventoryv1.Group, i *inventoryv1.Interface, name string) error {
	if err := inventoryv1.CheckInterface(name); err != nil {
		return fault.Invalidf("%w", err)
	}
	if index(g, name) >= 0 {
		return fault.Conflictf("group %s has an interface %s already", g.Name, name)
	}
	for _, other := range g.Interfaces {
		replace(other, i.Name, name)
	}
	i.Name = name
	return nil
}

// connect changes the networks of an interface: one of each family at most.
func connect(d *change.Draft, i *inventoryv1.Interface, r *inventoryv1.GroupChangeRequest) error {
	if r.Delnet == "*" {
		i.NetworkIds = nil
	} else if r.Delnet != "" {
		o, err := d.Named(catalog.Network, r.Delnet, 0)
		if err != nil {
			return err
		}
		at := slices.Index(i.NetworkIds, o.GetNetwork().Id)
		if at < 0 {
			return fault.NotFoundf("interface %s is not in network %s", i.Name, r.Delnet)
		}
		i.NetworkIds = slices.Delete(i.NetworkIds, at, at+1)
	}
	if r.Setnet == "" {
		return nil
	}
	return join(d, i, r.Setnet)
}

// join puts an interface into a network, in the place of the one of the same family.
func join(d *change.Draft, i *inventoryv1.Interface, network string) error {
	o, err := d.Named(catalog.Network, network, 0)
	if err != nil {
		return err
	}
	n := o.GetNetwork()
	if err := mayJoin(i, n); err != nil {
		return err
	}
	kept := i.NetworkIds[:0:0]
	for _, id := range i.NetworkIds {
		other, err := d.Network(id)
		if err != nil {
			return err
		}
		if id != n.Id && other != nil && is4(other) != is4(n) {
			kept = append(kept, id)
		}
	}
	i.NetworkIds = append(kept, n.Id)
	return nil
}

// mayJoin refuses IPv6 for management controllers.
func mayJoin(i *inventoryv1.Interface, n *inventoryv1.Network) error {
	if i.Name == catalog.BMC && !is4(n) {
		return fault.Invalidf("network %s is IPv6: management controllers are set up over IPv4", n.Name)
	}
	return nil
}

// CheckNetworks looks at the networks of a group's interfaces: one of each family at most.
func CheckNetworks(d *change.Draft, g *inventoryv1.Group) error {
	for _, i := range g.Interfaces {
		families := map[bool]string{}
		for _, id := range i.NetworkIds {
			n, err := d.Network(id)
			if err != nil {
				return err
			}
			if err := mayJoin(i, n); err != nil {
				return err
			}
			if other := families[is4(n)]; other != "" {
				return fault.Invalidf("interface %s: an interface is in one IPv4 and one IPv6 network, not in both %s and %s", i.Name, other, n.GetName())
			}
			families[is4(n)] = n.GetName()
		}
	}
	return nil
}

func is4(n *inventoryv1.Network) bool {
	p, err := netip.ParsePrefix(n.GetCidr())
	return err == nil && p.Addr().Is4()
}

// readdress makes the addresses of all nodes of the group fit its interfaces.
func readdress(d *change.Draft, g *inventoryv1.Group, old, renamed string) error {
	set := address.NewSet(d)
	var bad error
	err := d.Nodes(func(n *inventoryv1.Node) bool {
		if n.GroupId != g.Id {
			return true
		}
		now := proto.Clone(n).(*inventoryv1.Node)
		if renamed != "" {
			for _, a := range now.Addresses {
				if a.Interface == old {
					a.Interface = renamed
				}
			}
		}
		node.Drop(set, now, func(a *inventoryv1.NodeAddress) bool {
			at := index(g, a.Interface)
			return at >= 0 && slices.Contains(g.Interfaces[at].NetworkIds, a.NetworkId)
		})
		if bad = node.Fill(set, now, g); bad != nil {
			return false
		}
		if !proto.Equal(n, now) {
			d.Put(now.Id, now)
		}
		return true
	})
	if bad != nil {
		return bad
	}
	return err
}
