package zone

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Times are the lifetimes of answers in seconds.
type Times struct {
	TTL uint32
	// Negative is how long a denial may be believed.
	Negative uint32
}

// network is a network with what was parsed of it.
type network struct {
	*inventoryv1.Network
	prefix netip.Prefix
	zone   *Zone
	ns     string
	// nodes is how many addresses of nodes lie in it.
	nodes int
}

type builder struct {
	set      *Set
	facts    Facts
	times    Times
	log      *slog.Logger
	networks map[string]*network
	order    []*network
	frontend netip.Addr
	// head is the full name of the head.
	head string
}

// Build makes the zones of all networks and domains. What cannot be served is
// logged and left out. Before `luna cluster init` there are none.
func Build(f Facts, times Times, log *slog.Logger) *Set {
	b := &builder{set: NewSet(f.Revision), facts: f, times: times, log: log, networks: map[string]*network{}}
	if f.Cluster == nil {
		return b.set
	}
	b.frontend, _ = netip.ParseAddr(f.Cluster.FrontendAddress) // invalid lies in no network
	b.collect()
	b.nameHead()
	for _, n := range b.order {
		b.openZones(n)
	}
	for _, n := range f.Nodes {
		b.node(n)
	}
	for _, o := range f.Others {
		if n := b.networks[o.NetworkID]; n != nil {
			b.host(n.zone, o.Name, o.Address)
		}
	}
	b.heads()
	for _, n := range b.order {
		b.include(n)
	}
	return b.set
}

// collect parses the networks and sorts them by name, so that of two that
// overlap always the same one has the reverse zone.
func (b *builder) collect() {
	for _, n := range b.facts.Networks {
		p, err := netip.ParsePrefix(n.Cidr)
		if err != nil {
			b.log.Warn("network has no zone: its address cannot be read", "network", n.Name, "err", err)
			continue
		}
		b.networks[n.Id] = &network{Network: n, prefix: p.Masked()}
		b.order = append(b.order, b.networks[n.Id])
	}
	for _, n := range b.facts.Nodes {
		for _, a := range n.Addresses {
			if net := b.networks[a.NetworkId]; net != nil {
				net.nodes++
			}
		}
	}
	slices.SortFunc(b.order, func(x, y *network) int { return strings.Compare(x.Name, y.Name) })
}

// nameHead finds the head's full name: in the network that has the frontend address.
func (b *builder) nameHead() {
	b.head = dns.CanonicalName(b.facts.Head)
	bits := -1
	for _, n := range b.order {
		if n.prefix.Contains(b.frontend) && n.prefix.Bits() > bits {
			b.head, bits = dns.CanonicalName(b.facts.Head+"."+n.Name), n.prefix.Bits()
		}
	}
}

// openZones makes a network's zone and its reverse zones.
func (b *builder) openZones(n *network) {
	origin := dns.CanonicalName(n.Name)
	n.ns = b.head
	if n.NsHostname != "" {
		n.ns = dns.CanonicalName(n.NsHostname)
		if !strings.Contains(n.NsHostname, ".") {
			n.ns = dns.CanonicalName(n.NsHostname + "." + n.Name)
		}
	}
	n.zone = b.set.open(origin, n.ns, b.times, n.nodes)
	reverse := Reverse(n.prefix)
	for _, r := range reverse {
		b.set.open(r, n.ns, b.times, n.nodes/len(reverse))
	}
}

// node adds the addresses of a node: those of BOOTIF under its name in its
// domain, the others as name-interface in their networks' zones.
func (b *builder) node(n *inventoryv1.Node) {
	for _, a := range n.Addresses {
		net := b.networks[a.NetworkId]
		if net == nil {
			continue
		}
		if a.Interface == catalog.BootIf {
			b.host(b.domain(n, net), n.Name, a.Address)
			continue
		}
		b.host(net.zone, catalog.CardName(n.Name, a.Interface), a.Address)
	}
}

// domain returns the zone of a node's own name: its group's domain, else the
// network of BOOTIF, IPv4 first.
func (b *builder) domain(n *inventoryv1.Node, own *network) *Zone {
	if d := b.facts.Groups[n.GroupId].GetDomain(); d != "" {
		return b.set.open(dns.CanonicalName(d), b.head, b.times, 0)
	}
	for _, a := range n.Addresses {
		net := b.networks[a.NetworkId]
		if a.Interface == catalog.BootIf && net != nil && net.prefix.Addr().Is4() {
			return net.zone
		}
	}
	return own.zone
}

// heads adds the name servers and the head, which nodes also know as "head".
func (b *builder) heads() {
	for _, n := range b.order {
		if n.NsHostname == "" {
			continue
		}
		addr := n.NsIp
		if addr == "" {
			addr = b.facts.Cluster.FrontendAddress
		}
		b.alias(n.ns, addr)
	}
	b.alias(b.head, b.facts.Cluster.FrontendAddress)
	for _, z := range b.set.zones {
		if !strings.HasSuffix(z.Origin, ".arpa.") && b.homeOfHead(z) {
			b.alias("head."+z.Origin, b.facts.Cluster.FrontendAddress)
		}
	}
}

// homeOfHead tells whether nodes look for the head in a zone: in the frontend
// network's, and in domains that are no network's.
func (b *builder) homeOfHead(z *Zone) bool {
	if strings.HasSuffix(b.head, "."+z.Origin) {
		return true
	}
	return !slices.ContainsFunc(b.order, func(n *network) bool { return n.zone == z })
}

// alias adds a full name unless a node has it already or it lies in no zone.
func (b *builder) alias(name, addr string) {
	if z := b.set.Find(name); z != nil && !z.has(name) {
		b.hostNamed(z, name, addr)
	}
}

func (b *builder) host(z *Zone, label, address string) {
	b.hostNamed(z, dns.CanonicalName(label)+z.Origin, address)
}

// hostNamed adds the address of a name, and the name of that address unless it has one.
func (b *builder) hostNamed(z *Zone, name, address string) {
	addr, err := netip.ParseAddr(address)
	if _, ok := dns.IsDomainName(name); err != nil || !ok {
		b.log.Warn("host is not in DNS: its name or address cannot be used", "name", name, "address", address)
		return
	}
	if addr.Is4() {
		z.add(&dns.A{Hdr: header(name, dns.TypeA, b.times.TTL), A: addr.AsSlice()})
	} else {
		z.add(&dns.AAAA{Hdr: header(name, dns.TypeAAAA, b.times.TTL), AAAA: addr.AsSlice()})
	}
	back := ReverseName(addr)
	if r := b.set.Find(back); r != nil && !r.has(back) {
		r.add(&dns.PTR{Hdr: header(back, dns.TypePTR, b.times.TTL), Ptr: name})
	}
}
