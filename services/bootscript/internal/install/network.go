package install

import (
	"net/netip"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/release"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

// Network is how a node is connected.
type Network struct {
	Interfaces []Interface `json:"interfaces"`
	DNS        []string    `json:"dns"`
	Search     []string    `json:"search"`
}

// Interface is one network card.
type Interface struct {
	Name string `json:"name"`
	// MAC is known of BOOTIF only.
	MAC       string   `json:"mac"`
	Addresses []string `json:"addresses"`
	Gateway   string   `json:"gateway"`
	// MTU in bytes; 0 leaves it as it is.
	MTU     uint32 `json:"mtu"`
	Options string `json:"options"`
}

// NetworkOf returns the connections of a planned node. One interface at most
// has a gateway: BOOTIF, or the first whose network has one.
func NetworkOf(p plan.Plan) Network {
	n := Network{Interfaces: []Interface{}, DNS: p.DNS(), Search: []string{}}
	if n.DNS == nil {
		n.DNS = []string{}
	}
	if p.Domain != "" {
		n.Search = append(n.Search, p.Domain)
	}
	routed := p.Network.GetGateway() != ""
	for _, in := range p.Group.GetInterfaces() {
		if in.GetName() == catalog.BMC {
			continue
		}
		one := interfaceOf(p, in)
		switch {
		case in.GetName() == catalog.BootIf:
			one.MAC, one.Gateway = p.Node.GetMac(), p.Network.GetGateway()
		case routed:
			one.Gateway = ""
		case one.Gateway != "":
			routed = true
		}
		n.Interfaces = append(n.Interfaces, one)
	}
	return n
}

func interfaceOf(p plan.Plan, in *inventoryv1.Interface) Interface {
	one := Interface{Name: in.GetName(), Addresses: []string{}, Options: in.GetOptions()}
	for _, a := range p.Node.GetAddresses() {
		network := p.Networks[a.NetworkId]
		addr, err := netip.ParseAddr(a.Address)
		prefix, prefixErr := netip.ParsePrefix(network.GetCidr())
		if a.Interface != in.GetName() || err != nil || prefixErr != nil {
			continue
		}
		one.Addresses = append(one.Addresses, netip.PrefixFrom(addr, prefix.Bits()).String())
		if one.MTU == 0 {
			one.MTU = network.GetMtu()
		}
		if one.Gateway == "" {
			one.Gateway = network.GetGateway()
		}
	}
	return one
}

// Of returns the install script of a planned node, which has a release.
func Of(p plan.Plan) Script {
	return Script{
		Node: p.Node.GetName(), Osimage: p.Osimage.GetName(),
		Prescript: p.Prescript(), Partscript: p.Partscript(), Postscript: p.Postscript(),
		Manifest: digest(p.Release.GetManifest()), Torrent: digest(p.Release.GetTorrent()),
		BMC: BMCOf(p), Identity: IdentityOf(p), Network: NetworkOf(p),
	}
}

// digest takes a digest that the shelf has checked.
func digest(s string) release.Digest { return release.Digest(s) }
