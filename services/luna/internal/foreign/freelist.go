package foreign

import (
	"net/netip"
	"slices"
)

// mostReserved is how many reserved addresses of a network are taken over.
const mostReserved = 1024

// reserve finds the reserved addresses of networks: those that are not in the free
// list and that nobody has.
func (l *luna1) reserve() {
	for _, d := range l.docs["network"] {
		n := l.nets[d.id]
		free, ok := d.fields["freelist"].([]any)
		if n == nil || !ok {
			continue
		}
		p, err := netip.ParsePrefix(n.Network)
		if err != nil || !p.Addr().Is4() {
			continue // the lists of IPv6 are too long to be looked through
		}
		var ranges [][2]netip.Addr
		for _, f := range free {
			r, _ := f.(map[string]any)
			start, err1 := addressIn(p, r["start"])
			end, err2 := addressIn(p, r["end"])
			if err1 != nil || err2 != nil {
				l.leave(d.String(), "field freelist", "%v is no range of addresses", f)
				ranges = nil
				break
			}
			ranges = append(ranges, [2]netip.Addr{start, end})
		}
		if len(ranges) > 0 {
			l.reserveIn(d, p, ranges)
		}
	}
}

// reserveIn goes through the addresses between the free ranges.
func (l *luna1) reserveIn(d *document, p netip.Prefix, free [][2]netip.Addr) {
	slices.SortFunc(free, func(a, b [2]netip.Addr) int { return a[0].Compare(b[0]) })
	n := l.nets[d.id]
	held := func(a netip.Addr) bool {
		if l.used[d.id][a] || l.Cluster != nil && (l.Cluster.FrontendAddress == a.String() || slices.Contains(l.Cluster.ClusterIps, a.String())) {
			return true
		}
		if n.DhcpRange == nil {
			return false
		}
		start, err1 := netip.ParseAddr(n.DhcpRange.Start)
		end, err2 := netip.ParseAddr(n.DhcpRange.End)
		return err1 == nil && err2 == nil && a.Compare(start) >= 0 && a.Compare(end) <= 0
	}
	for a := p.Addr().Next(); p.Contains(a.Next()); a = a.Next() { // not the broadcast address
		if len(free) > 0 && a.Compare(free[0][0]) >= 0 {
			if a.Compare(free[0][1]) < 0 {
				a = free[0][1]
			}
			free = free[1:]
			continue
		}
		if held(a) {
			continue
		}
		if len(n.Reserved) == mostReserved {
			l.leave(d.String(), "field freelist", "more than %d addresses are reserved; those from %s on are not", mostReserved, a)
			return
		}
		n.Reserved = append(n.Reserved, a.String())
	}
}
