package transfer

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
)

// placeNode gives a node the addresses that the text gives and those that it
// has, one in each network of its group's interfaces, and returns what gives it
// the others.
func (s *site) placeNode(o *object) (func() error, error) {
	n := o.now.(*inventoryv1.Node)
	g, err := s.group(n.GroupId)
	if err != nil {
		return nil, err
	}
	n.Addresses = nil
	wants := slices.Clone(o.wants)
	var open []*inventoryv1.NodeAddress
	for _, i := range g.GetInterfaces() {
		for _, network := range i.NetworkIds {
			a := &inventoryv1.NodeAddress{Interface: i.Name, NetworkId: network}
			n.Addresses = append(n.Addresses, a)
			at := slices.IndexFunc(wants, func(w want) bool { return w.iface == i.Name && s.prefixes[network].Contains(w.address) })
			w := s.kept(o, a)
			if at >= 0 {
				w = wants[at]
				wants = slices.Delete(wants, at, at+1)
			}
			if !w.address.IsValid() {
				open = append(open, a)
				continue
			}
			a.Address = w.address.String()
			if err := s.take(o, w.field, address.Holding{NetworkID: network, Address: w.address}); err != nil {
				return nil, err
			}
		}
	}
	if len(wants) > 0 {
		return nil, misplaced(wants[0], g)
	}
	return func() (err error) {
		for _, a := range open {
			if a.Address, err = s.free(a.NetworkId); err != nil {
				return err
			}
		}
		n.Addresses = likeOld(n.Addresses, oldOf[*inventoryv1.Node](o).Addresses)
		return nil
	}, nil
}

// kept is the address that a node's interface has in a network and may keep.
func (s *site) kept(o *object, a *inventoryv1.NodeAddress) want {
	old := oldOf[*inventoryv1.Node](o)
	for _, x := range old.Addresses {
		for _, h := range address.Held(&inventoryv1.Node{Addresses: []*inventoryv1.NodeAddress{x}}) {
			if x.Interface == a.Interface && x.NetworkId == a.NetworkId && s.prefixes[x.NetworkId].Contains(h.Address) {
				return want{field: "addresses: " + a.Interface, address: h.Address}
			}
		}
	}
	return want{}
}

// misplaced tells why a group's node cannot have an address.
func misplaced(w want, g *inventoryv1.Group) error {
	for _, i := range g.GetInterfaces() {
		if i.Name == w.iface {
			return fault.Invalidf("%s: address %s is in no network of interface %s of group %s that has none yet", w.field, w.address, w.iface, g.Name)
		}
	}
	return fault.NotFoundf("%s: group %s has no interface %s", w.field, g.GetName(), w.iface)
}

// likeOld returns the old addresses when the new ones are the same in another order.
func likeOld[M proto.Message](now, old []M) []M {
	if len(now) != len(old) {
		return now
	}
	for _, a := range now {
		if !slices.ContainsFunc(old, func(b M) bool { return proto.Equal(a, b) }) {
			return now
		}
	}
	return old
}
