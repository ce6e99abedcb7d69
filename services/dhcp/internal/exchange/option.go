package exchange

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// network adds what the network says: mask, gateway and name servers always,
// the rest when it is asked for.
func (x *exchange) network(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	n := x.place.Network
	domain := n.Name
	if x.place.Host != nil {
		domain = x.place.Host.Domain
	}
	resp.UpdateOption(dhcpv4.Option{Code: dhcpv4.OptionSubnetMask, Value: dhcpv4.IP(ip(mask(n.Prefix)))})
	if n.Gateway.IsValid() {
		resp.UpdateOption(dhcpv4.OptRouter(ip(n.Gateway)))
	}
	servers := n.Nameservers
	if len(servers) == 0 {
		servers = []netip.Addr{x.place.Server}
	}
	resp.UpdateOption(dhcpv4.OptDNS(ips(servers)...))
	resp.UpdateOption(dhcpv4.OptDomainName(domain))
	asked := req.ParameterRequestList()
	add := func(o dhcpv4.Option, there bool) {
		if there && (asked == nil || asked.Has(o.Code)) {
			resp.UpdateOption(o)
		}
	}
	add(dhcpv4.OptBroadcastAddress(ip(n.Broadcast())), true)
	add(dhcpv4.OptNTPServers(ips(n.NTP)...), len(n.NTP) > 0)
	add(dhcpv4.Option{Code: dhcpv4.OptionInterfaceMTU, Value: dhcpv4.Uint16(n.MTU)}, n.MTU > 0)
	if x.place.Host != nil {
		add(dhcpv4.OptHostName(x.place.Host.Name), true)
	}
	search := []string{domain}
	if domain != n.Name {
		search = append(search, n.Name)
	}
	add(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: search}), true)
	return resp, false
}

func mask(p netip.Prefix) netip.Addr {
	m := ^uint32(0) << (32 - p.Bits())
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)})
}
