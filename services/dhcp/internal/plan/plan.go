// Package plan is what DHCP knows of the cluster at one moment: who gets which
// address on which wire. Packets are answered from it without touching a disk.
package plan

import (
	"net"
	"net/netip"
	"time"
)

// MAC is an Ethernet address.
type MAC [6]byte

// ParseMAC reads 52:54:00:00:00:01 or 525400000001.
func ParseMAC(s string) (m MAC, ok bool) {
	if len(s) == 12 {
		s = s[0:4] + "." + s[4:8] + "." + s[8:12]
	}
	hw, err := net.ParseMAC(s)
	if err != nil {
		return m, false
	}
	return MACOf(hw)
}

// MACOf returns the MAC of a hardware address; ok is false for those of other lengths.
func MACOf(hw net.HardwareAddr) (m MAC, ok bool) {
	if len(hw) != len(m) {
		return m, false
	}
	copy(m[:], hw)
	return m, true
}

// String returns the MAC as 52:54:00:00:00:01.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Link is a network interface of this host.
type Link struct {
	Index int
	Name  string
	Addrs []netip.Addr
}

// Network is a network of the cluster.
type Network struct {
	ID, Name    string
	Prefix      netip.Prefix
	Gateway     netip.Addr
	Nameservers []netip.Addr
	NTP         []netip.Addr
	MTU         uint16
	// Range is for strangers, Slice this head's part of it; nil when there is none.
	Range, Slice *Range
	// taken are addresses of the range that belong to somebody, until a time or, at zero, for good.
	taken map[netip.Addr]time.Time
}

// Free tells whether an address of the range belongs to nobody in the inventory.
func (n *Network) Free(a netip.Addr, now time.Time) bool {
	until, there := n.taken[a]
	return !there || (!until.IsZero() && !until.After(now))
}

// Host is a node as DHCP sees it.
type Host struct {
	Name, Domain string
	Addr         netip.Addr
	Network      *Network
}

// Served is a network that a link of this host has an address in.
type Served struct {
	Network *Network
	// Server is this head's address there: server id, next server, source.
	Server netip.Addr
}

// Port is a link that is answered on.
type Port struct {
	Link
	// Networks are those on the wire, the frontend address's first.
	Networks []Served
	// Server is this head's address for relays and the like.
	Server netip.Addr
}

// Plan never changes once built.
type Plan struct {
	Revision uint64
	// HTTPPort is the boot scripts' TCP port.
	HTTPPort uint32
	Ports    map[int]*Port
	// Trouble is what keeps machines from getting an address.
	Trouble  string
	networks []*Network
	hosts    map[MAC]*Host
	local    map[netip.Addr]bool
}

// Place is where an asker is and what is to be given there.
type Place struct {
	Network *Network
	Server  netip.Addr
	// Host is nil for a stranger.
	Host *Host
}

// Place finds where an asker is: on the wire of a port or, with a valid relay
// address, behind that relay. A node that is not in its own network is a
// stranger there. ok is false when the wire belongs to no network.
func (p *Plan) Place(port *Port, mac MAC, relay netip.Addr) (at Place, ok bool) {
	host := p.hosts[mac]
	if relay.IsValid() {
		return p.behind(port, host, relay)
	}
	for _, s := range port.Networks {
		if host != nil && s.Network == host.Network {
			return Place{s.Network, s.Server, host}, true
		}
	}
	for _, s := range port.Networks {
		if s.Network.Slice != nil {
			return Place{s.Network, s.Server, nil}, true
		}
	}
	return Place{}, false
}

func (p *Plan) behind(port *Port, host *Host, relay netip.Addr) (Place, bool) {
	for _, n := range p.networks {
		if !n.Prefix.Contains(relay) {
			continue
		}
		if host != nil && host.Network != n {
			host = nil
		}
		return Place{n, port.Server, host}, host != nil || n.Slice != nil
	}
	return Place{}, false
}

// Local tells whether an address is one of this host's.
func (p *Plan) Local(a netip.Addr) bool { return p.local[a] }

// Network returns a network by id; nil when there is none.
func (p *Plan) Network(id string) *Network {
	for _, n := range p.networks {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// Node returns the node that boots from a MAC; nil for strangers.
func (p *Plan) Node(m MAC) *Host { return p.hosts[m] }
