package install

import (
	"net/netip"
	"slices"

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

// Interface is one network interface: a card, unless it is a bond, a VLAN or a bridge.
type Interface struct {
	Name string `json:"name"`
	// MAC is known of BOOTIF only.
	MAC       string   `json:"mac"`
	Addresses []string `json:"addresses"`
	// Gateway and Gateway6 are those of IPv4 and IPv6.
	Gateway  string `json:"gateway"`
	Gateway6 string `json:"gateway6,omitempty"`
	// MTU in bytes; 0 leaves it as it is.
	MTU     uint32  `json:"mtu"`
	Options string  `json:"options"`
	Bond    *Bond   `json:"bond,omitempty"`
	VLAN    *VLAN   `json:"vlan,omitempty"`
	Bridge  *Bridge `json:"bridge,omitempty"`
}

// Bond joins cards into one interface.
type Bond struct {
	Members []string `json:"members"`
	Mode    string   `json:"mode"`
	// MIIMon is in milliseconds.
	MIIMon uint32 `json:"miimon"`
}

// VLAN is one VLAN of another interface.
type VLAN struct {
	Parent string `json:"parent"`
	Tag    uint32 `json:"tag"`
}

// Bridge joins its ports.
type Bridge struct {
	Ports []string `json:"ports"`
	STP   bool     `json:"stp"`
}

// NetworkOf returns the connections of a planned node. One interface at most
// has a gateway of a family: BOOTIF, or the first whose network has one.
func NetworkOf(p plan.Plan) Network {
	n := Network{Interfaces: []Interface{}, DNS: serversOf(p), Search: []string{}}
	if p.Domain != "" {
		n.Search = append(n.Search, p.Domain)
	}
	for _, in := range p.Group.GetInterfaces() {
		if in.GetName() != catalog.BMC {
			n.Interfaces = append(n.Interfaces, interfaceOf(p, in))
		}
	}
	n.route()
	return n
}

// serversOf returns the name servers of the boot network, and those that are
// set for another network of the boot card, which is the IPv6 one.
func serversOf(p plan.Plan) []string {
	servers := some(p.DNS())
	for _, a := range p.Node.GetAddresses() {
		if a.Interface != catalog.BootIf || a.NetworkId == p.Network.GetId() {
			continue
		}
		for _, s := range p.Networks[a.NetworkId].GetNameservers() {
			if addr, err := netip.ParseAddr(s); err == nil && !slices.Contains(servers, addr.String()) {
				servers = append(servers, addr.String())
			}
		}
	}
	return servers
}

// route leaves one gateway of each family.
func (n Network) route() {
	first := slices.IndexFunc(n.Interfaces, func(i Interface) bool { return i.Name == catalog.BootIf })
	for _, of := range []func(*Interface) *string{
		func(i *Interface) *string { return &i.Gateway },
		func(i *Interface) *string { return &i.Gateway6 },
	} {
		routed := first >= 0 && *of(&n.Interfaces[first]) != ""
		for k := range n.Interfaces {
			gateway := of(&n.Interfaces[k])
			switch {
			case k == first || *gateway == "":
			case routed:
				*gateway = ""
			default:
				routed = true
			}
		}
	}
}

func interfaceOf(p plan.Plan, in *inventoryv1.Interface) Interface {
	one := Interface{Name: in.GetName(), Addresses: []string{}, Options: in.GetOptions(), MTU: in.GetMtu()}
	if one.Name == catalog.BootIf {
		one.MAC = p.Node.GetMac()
	}
	one.madeOf(in)
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
		one.through(network.GetGateway())
	}
	return one
}

// through takes a gateway, unless there is one of its family.
func (i *Interface) through(gateway string) {
	addr, err := netip.ParseAddr(gateway)
	switch {
	case err != nil:
	case addr.Is4() && i.Gateway == "":
		i.Gateway = gateway
	case addr.Is6() && i.Gateway6 == "":
		i.Gateway6 = gateway
	}
}

func (i *Interface) madeOf(in *inventoryv1.Interface) {
	switch {
	case in.GetBond() != nil:
		b := in.GetBond()
		i.Bond = &Bond{Members: some(b.GetMembers()), Mode: b.GetMode(), MIIMon: b.GetMiimon()}
	case in.GetVlan() != nil:
		i.VLAN = &VLAN{Parent: in.GetVlan().GetParent(), Tag: in.GetVlan().GetTag()}
	case in.GetBridge() != nil:
		i.Bridge = &Bridge{Ports: some(in.GetBridge().GetPorts()), STP: in.GetBridge().GetStp()}
	}
}

// some returns names that JSON shows as a list also when there are none.
func some(names []string) []string { return append([]string{}, names...) }

// Of returns the install script of a planned node, which has a release.
func Of(p plan.Plan) Script {
	manifest, torrent := p.Payload()
	return Script{
		Root: p.Group.GetRoot(),
		Node: p.Node.GetName(), Osimage: p.Osimage.GetName(),
		Prescript: p.Prescript(), Partscript: p.Partscript(), Postscript: p.Postscript(),
		Manifest: digest(manifest), Torrent: digest(torrent),
		BMC: BMCOf(p), Identity: IdentityOf(p), Network: NetworkOf(p),
	}
}

// digest takes a digest that the shelf has checked.
func digest(s string) release.Digest { return release.Digest(s) }
