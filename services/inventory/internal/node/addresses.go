package node

import (
	"net/netip"
	"slices"

	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
)

// Fill gives a node an address in every network of its group's interfaces that
// it has none in yet.
func Fill(s *address.Set, n *inventoryv1.Node, g *inventoryv1.Group) error {
	for _, i := range g.Interfaces {
		for _, network := range i.NetworkIds {
			if find(n, i.Name, network) >= 0 {
				continue
			}
			a, err := s.Of(network)
			if err != nil {
				return err
			}
			addr, err := a.Free()
			if err != nil {
				return err
			}
			n.Addresses = append(n.Addresses, &inventoryv1.NodeAddress{Interface: i.Name, NetworkId: network, Address: addr.String()})
		}
	}
	return nil
}

// Give gives a node's interface a certain address in place of its own.
func Give(s *address.Set, n *inventoryv1.Node, g *inventoryv1.Group, iface, ip string) error {
	want, err := inventoryv1.ParseAddress("ip", ip)
	if err != nil {
		return fault.Invalidf("%w", err)
	}
	at := slices.IndexFunc(g.Interfaces, func(i *inventoryv1.Interface) bool { return i.Name == iface })
	if at < 0 {
		return fault.NotFoundf("group %s has no interface %s", g.Name, iface)
	}
	for _, network := range g.Interfaces[at].NetworkIds {
		a, err := s.Of(network)
		if err != nil {
			return err
		}
		if !a.Holds(want) {
			continue
		}
		old := find(n, iface, network)
		if old >= 0 && n.Addresses[old].Address == want.String() {
			return nil
		}
		if err := a.Take(want); err != nil {
			return err
		}
		if old >= 0 {
			release(s, n.Addresses[old])
			n.Addresses[old].Address = want.String()
			return nil
		}
		n.Addresses = append(n.Addresses, &inventoryv1.NodeAddress{Interface: iface, NetworkId: network, Address: want.String()})
		return nil
	}
	return fault.Invalidf("address %s is in no network of interface %s of group %s", want, iface, g.Name)
}

// Drop gives up a node's addresses that keep does not want.
func Drop(s *address.Set, n *inventoryv1.Node, keep func(*inventoryv1.NodeAddress) bool) {
	n.Addresses = slices.DeleteFunc(n.Addresses, func(a *inventoryv1.NodeAddress) bool {
		if keep(a) {
			return false
		}
		release(s, a)
		return true
	})
}

// release lets an address rest; one of a network that is gone needs none.
func release(s *address.Set, a *inventoryv1.NodeAddress) {
	addr, err := netip.ParseAddr(a.Address)
	if err != nil {
		return
	}
	if al, err := s.Of(a.NetworkId); err == nil {
		al.Release(addr)
	}
}

func find(n *inventoryv1.Node, iface, network string) int {
	return slices.IndexFunc(n.Addresses, func(a *inventoryv1.NodeAddress) bool {
		return a.Interface == iface && a.NetworkId == network
	})
}
