package plan

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Build makes a plan. What cannot be used is logged and left out. Before
// `luna cluster init` it answers nowhere.
func Build(f Facts, log *slog.Logger) *Plan {
	p := &Plan{Revision: f.Revision, HTTPPort: f.Cluster.GetFrontendPort(), Ports: map[int]*Port{}, hosts: make(map[MAC]*Host, len(f.Nodes)), local: map[netip.Addr]bool{}}
	if f.Cluster == nil {
		return p
	}
	if p.HTTPPort == 0 {
		p.HTTPPort = 7050
	}
	for _, l := range f.Links {
		for _, a := range l.Addrs {
			p.local[a] = true
		}
	}
	heads := addresses(append([]string{f.Cluster.FrontendAddress}, f.Cluster.ClusterIps...))
	byID := p.addNetworks(f, log)
	p.slice(addresses(f.Cluster.ClusterIps))
	p.addHosts(f, byID)
	p.take(f, byID, heads)
	p.addPorts(f, heads)
	if len(p.Ports) == 0 && !slices.ContainsFunc(heads, p.Local) {
		p.Trouble = "nothing is answered: no interface of this host has an address of the cluster's heads, or in a network with a range"
	}
	return p
}

func addresses(texts []string) []netip.Addr {
	var all []netip.Addr
	for _, s := range texts {
		if a, err := netip.ParseAddr(s); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// addNetworks takes the IPv4 networks, the longest prefix first.
func (p *Plan) addNetworks(f Facts, log *slog.Logger) map[string]*Network {
	byID := map[string]*Network{}
	for _, n := range f.Networks {
		prefix, err := netip.ParsePrefix(n.Cidr)
		if err != nil {
			log.Warn("network is left out: its address cannot be read", "network", n.Name, "err", err)
			continue
		}
		if !prefix.Addr().Is4() {
			continue
		}
		net := &Network{ID: n.Id, Name: n.Name, Prefix: prefix.Masked(), MTU: uint16(n.Mtu), taken: map[netip.Addr]time.Time{},
			Nameservers: only4(addresses(n.Nameservers)), NTP: only4(addresses(n.Ntp))}
		if g, err := netip.ParseAddr(n.Gateway); err == nil && g.Is4() {
			net.Gateway = g
		}
		if net.Range, err = rangeOf(n.DhcpRange); err != nil {
			log.Warn("network has no DHCP range: it cannot be read", "network", n.Name, "err", err)
		}
		byID[n.Id] = net
		p.networks = append(p.networks, net)
	}
	slices.SortFunc(p.networks, func(a, b *Network) int { return b.Prefix.Bits() - a.Prefix.Bits() })
	return byID
}

func only4(all []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.Is4() })
}

func rangeOf(r *inventoryv1.AddressRange) (*Range, error) {
	if r == nil {
		return nil, nil
	}
	first, err := netip.ParseAddr(r.Start)
	if err != nil {
		return nil, err
	}
	last, err := netip.ParseAddr(r.End)
	if err != nil {
		return nil, err
	}
	return NewRange(first, last)
}

// slice gives this head its part of each range: heads are in the order of their addresses.
func (p *Plan) slice(heads []netip.Addr) {
	mine, n := 0, 1
	if len(heads) > 1 {
		slices.SortFunc(heads, netip.Addr.Compare)
		heads = slices.Compact(heads)
		n = len(heads)
		if mine = slices.IndexFunc(heads, p.Local); mine < 0 {
			p.Trouble = "strangers get no address: none of the cluster's addresses is this head's"
			return
		}
	}
	for _, net := range p.networks {
		if net.Range != nil {
			net.Slice = net.Range.Slice(mine, n)
		}
	}
}

// addHosts adds the nodes with a MAC and an IPv4 address of BOOTIF.
func (p *Plan) addHosts(f Facts, byID map[string]*Network) {
	for _, n := range f.Nodes {
		mac, ok := ParseMAC(n.Mac)
		if !ok {
			continue
		}
		for _, a := range n.Addresses {
			addr, err := netip.ParseAddr(a.Address)
			net := byID[a.NetworkId]
			if a.Interface != catalog.BootIf || err != nil || net == nil {
				continue
			}
			h := &Host{Name: n.Name, Domain: f.Groups[n.GroupId].GetDomain(), Addr: addr, Network: net}
			if h.Domain == "" {
				h.Domain = net.Name
			}
			p.hosts[mac] = h
		}
	}
}

// take marks addresses in ranges that are not for strangers.
func (p *Plan) take(f Facts, byID map[string]*Network, heads []netip.Addr) {
	for _, n := range p.networks {
		n.take(n.Gateway, n.Prefix.Addr(), lastOf(n.Prefix))
		n.take(heads...)
		n.take(n.Nameservers...)
		n.take(n.NTP...)
		for a := range p.local {
			n.take(a)
		}
	}
	for _, n := range f.Networks {
		if net := byID[n.Id]; net != nil {
			net.take(addresses(append([]string{n.NsIp}, n.Reserved...))...)
		}
	}
	for _, n := range f.Nodes {
		for _, a := range n.Addresses {
			net := byID[a.NetworkId]
			if net == nil || net.Range == nil {
				continue
			}
			if addr, err := netip.ParseAddr(a.Address); err == nil {
				net.take(addr)
			}
		}
	}
	for _, r := range f.Rests {
		net := byID[r.NetworkId]
		addr, err := netip.ParseAddr(r.Address)
		until, badTime := time.Parse(time.RFC3339, r.Until)
		if net != nil && err == nil && badTime == nil && net.Range.Contains(addr) {
			if _, held := net.taken[addr]; !held {
				net.taken[addr] = until
			}
		}
	}
}

func (n *Network) take(addrs ...netip.Addr) {
	for _, a := range addrs {
		if n.Range.Contains(a) {
			n.taken[a] = time.Time{}
		}
	}
}

// lastOf returns the broadcast address of an IPv4 network.
func lastOf(p netip.Prefix) netip.Addr {
	r := Range{first: number(p.Masked().Addr())}
	return r.At(int(uint64(1)<<(32-p.Bits()) - 1))
}

// Broadcast returns the network's broadcast address.
func (n *Network) Broadcast() netip.Addr { return lastOf(n.Prefix) }

// addPorts chooses the links: those named, or those that carry the frontend
// address or an address in a network with a range.
func (p *Plan) addPorts(f Facts, heads []netip.Addr) {
	for _, l := range f.Links {
		port := &Port{Link: l}
		serves := slices.Contains(f.Interfaces, l.Name)
		for _, n := range p.networks {
			if a := ownAddress(l, n, heads); a.IsValid() {
				port.Networks = append(port.Networks, Served{n, a})
				serves = serves || (len(f.Interfaces) == 0 && n.Range != nil)
			}
		}
		frontend := len(heads) > 0 && slices.Contains(l.Addrs, heads[0])
		slices.SortStableFunc(port.Networks, func(a, b Served) int { return rank(a.Server, heads) - rank(b.Server, heads) })
		if port.Server = preferred(l.Addrs, heads); !port.Server.IsValid() {
			continue
		}
		if serves || (frontend && len(f.Interfaces) == 0) {
			p.Ports[l.Index] = port
		}
	}
}

// ownAddress returns a link's address in a network, a head's rather than another.
func ownAddress(l Link, n *Network, heads []netip.Addr) netip.Addr {
	var inside []netip.Addr
	for _, a := range l.Addrs {
		if n.Prefix.Contains(a) {
			inside = append(inside, a)
		}
	}
	return preferred(inside, heads)
}

func preferred(addrs, heads []netip.Addr) (best netip.Addr) {
	for _, a := range addrs {
		if a.Is4() && (!best.IsValid() || rank(a, heads) < rank(best, heads)) {
			best = a
		}
	}
	return best
}

// rank is 0 for the frontend address, more for the other heads', most for others.
func rank(a netip.Addr, heads []netip.Addr) int {
	if i := slices.Index(heads, a); i >= 0 {
		return i
	}
	return len(heads)
}
