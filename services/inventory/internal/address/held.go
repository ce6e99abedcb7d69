package address

import (
	"net/netip"

	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Holding is an address that somebody has in a network.
type Holding struct {
	NetworkID string
	Address   netip.Addr
}

// Held returns the addresses of an object; what cannot be read holds nothing.
func Held(m proto.Message) (all []Holding) {
	hold := func(network, address string) {
		if a, err := netip.ParseAddr(address); err == nil {
			all = append(all, Holding{network, a})
		}
	}
	switch m := m.(type) {
	case *inventoryv1.Node:
		for _, a := range m.GetAddresses() {
			hold(a.NetworkId, a.Address)
		}
	case *inventoryv1.Otherdev:
		for _, a := range m.GetAddresses() {
			hold(a.NetworkId, a.Address)
		}
	case *inventoryv1.Switch:
		hold(m.GetNetworkId(), m.GetIp())
	}
	return all
}
