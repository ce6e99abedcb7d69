package exchange

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// server gives the answer its type and this head's address. A request that
// names another server is not ours (RFC 2131 section 4.3.2).
func (x *exchange) server(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if id := addr(req.ServerIdentifier()); id.IsValid() && x.kind == dhcpv4.MessageTypeRequest && x.in.Port != ProxyPort && !x.plan.Local(id) {
		x.Leases.Drop(x.mac)
		x.Metrics.Refused("other_server")
		return nil, true
	}
	answer := dhcpv4.MessageTypeAck
	if x.kind == dhcpv4.MessageTypeDiscover {
		answer = dhcpv4.MessageTypeOffer
	}
	resp.UpdateOption(dhcpv4.OptMessageType(answer))
	resp.UpdateOption(dhcpv4.OptServerIdentifier(ip(x.place.Server)))
	resp.ServerIPAddr = ip(x.place.Server)
	if x.kind != dhcpv4.MessageTypeDiscover {
		resp.ClientIPAddr = req.ClientIPAddr
	}
	return resp, false
}

func ip(a netip.Addr) net.IP { return a.AsSlice() }

func ips(all []netip.Addr) []net.IP {
	out := make([]net.IP, len(all))
	for i, a := range all {
		out[i] = ip(a)
	}
	return out
}

// refuse returns the NAK of a request (RFC 2131 table 3).
func (x *exchange) refuse(resp *dhcpv4.DHCPv4, why string) (*dhcpv4.DHCPv4, bool) {
	x.nak = why
	resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
	resp.UpdateOption(dhcpv4.OptMessage(why))
	resp.YourIPAddr, resp.ServerIPAddr, resp.ClientIPAddr = net.IPv4zero, net.IPv4zero, net.IPv4zero
	if x.relay.IsValid() {
		resp.SetBroadcast()
	}
	return resp, true
}

// out addresses an answer (RFC 2131 section 4.1).
func (x *exchange) out(resp *dhcpv4.DHCPv4) Out {
	o := Out{Data: resp.ToBytes(), Source: x.place.Server, Keep: x.keep}
	client := addr(x.req.ClientIPAddr)
	switch {
	case x.in.Port == ProxyPort:
		o.To = x.in.From
	case x.relay.IsValid():
		o.To = netip.AddrPortFrom(x.relay, dhcpv4.ServerPort)
	case x.nak != "":
		o.To = netip.AddrPortFrom(broadcast, dhcpv4.ClientPort)
	case client.IsValid():
		o.To = netip.AddrPortFrom(client, dhcpv4.ClientPort)
	case x.req.IsBroadcast() || !addr(resp.YourIPAddr).IsValid():
		o.To = netip.AddrPortFrom(broadcast, dhcpv4.ClientPort)
	default:
		o.To = netip.AddrPortFrom(addr(resp.YourIPAddr), dhcpv4.ClientPort)
		o.Hardware = x.req.ClientHWAddr
	}
	if x.client.IPXE && x.kind == dhcpv4.MessageTypeRequest && x.nak == "" && x.in.Port == dhcpv4.ServerPort && x.privileged() {
		o.IPXE = &Exchanged{MAC: x.mac, Address: addr(resp.YourIPAddr), At: x.now}
	}
	return o
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// privileged tells whether a packet came from a port that an ordinary user of
// a node cannot send from: a client's, or a relay's.
func (x *exchange) privileged() bool {
	if x.relay.IsValid() {
		return x.in.From.Port() == dhcpv4.ServerPort
	}
	return x.in.From.Port() == dhcpv4.ClientPort
}
