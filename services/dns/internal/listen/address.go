package listen

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/luna-hpc/luna/services/dns/internal/current"
)

// Local returns the addresses of this host, without those of links and loopback.
func Local() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(n.IP)
		if addr = addr.Unmap(); ok && !addr.IsLinkLocalUnicast() && !addr.IsLoopback() {
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}

// Choose returns those local addresses that are a head's or lie in a network
// of the cluster, sorted.
func Choose(site current.Site, local []netip.Addr) []netip.Addr {
	var chosen []netip.Addr
	for _, a := range local {
		if slices.Contains(site.Heads, a) || slices.ContainsFunc(site.Networks, func(p netip.Prefix) bool { return p.Contains(a) }) {
			chosen = append(chosen, a)
		}
	}
	slices.SortFunc(chosen, netip.Addr.Compare)
	return slices.Compact(chosen)
}
