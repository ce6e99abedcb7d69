// Package exchange answers DHCP packets: a chain of coredhcp handlers that
// decide from the plan of the moment and the leases of strangers (RFC 2131).
package exchange

import (
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/services/dhcp/internal/lease"
	"github.com/luna-hpc/luna/services/dhcp/internal/loader"
	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

// ProxyPort is where PXE clients ask for their boot file alone.
const ProxyPort = 4011

// Terms are the times and files that answers speak of.
type Terms struct {
	NodeLease     time.Duration
	StrangerLease time.Duration
	// OfferHold is how long an offered address waits for its request.
	OfferHold time.Duration
	// DeclineRest is how long a declined address is put aside.
	DeclineRest time.Duration
	Loaders     loader.Files
}

// In is a packet that came.
type In struct {
	// Link is the index of the interface, Port the local UDP port, From the sender.
	Link int
	Port uint16
	From netip.AddrPort
	Data []byte
}

// Out is a packet to send.
type Out struct {
	Data []byte
	// Source is the sender's address: the server id.
	Source netip.Addr
	To     netip.AddrPort
	// Hardware is set when the client has no address yet: the packet goes in a
	// frame to it, without ARP.
	Hardware net.HardwareAddr
	// Keep are leases that must be on disk before the packet is sent.
	Keep []lease.Lease
	// IPXE is set when the answer ends an exchange with iPXE.
	IPXE *Exchanged
}

// Exchanged says that iPXE on a machine was given an address.
type Exchanged struct {
	MAC     plan.MAC
	Address netip.Addr
	At      time.Time
}

// Server answers packets.
type Server struct {
	Terms  Terms
	Plan   func() *plan.Plan
	Leases *lease.Table
	// LeasesRead is closed when strangers can be served.
	LeasesRead <-chan struct{}
	Head       string
	Now        func() time.Time
	Log        *slog.Logger
	Metrics    *Metrics
	// More are the operator's handlers, asked after ours.
	More []handler.Handler4
	// Warnings bounds how often the log hears of clients.
	Warnings *rate.Limiter
}

// warn logs something that a client may bring about as often as it likes.
func (s *Server) warn(msg string, args ...any) {
	if s.Warnings.Allow() {
		s.Log.Warn(msg, args...)
	}
}

// exchange is one packet on its way through the chain.
type exchange struct {
	*Server
	in     In
	plan   *plan.Plan
	port   *plan.Port
	req    *dhcpv4.DHCPv4
	kind   dhcpv4.MessageType
	mac    plan.MAC
	relay  netip.Addr
	place  plan.Place
	client loader.Client
	now    time.Time
	// wish is the address that the client names; invalid when none.
	wish netip.Addr
	keep []lease.Lease
	// nak is why a request is refused.
	nak string
}

// Answer decides on one packet; ok is false when nothing is to be sent. Leases
// may still have to be kept then.
func (s *Server) Answer(in In) (out Out, ok bool) {
	x, why := s.begin(in)
	if why != "" {
		s.Metrics.Refused(why)
		return out, false
	}
	s.Metrics.Asked(x.kind)
	switch x.kind {
	case dhcpv4.MessageTypeDecline:
		x.decline()
		return Out{Keep: x.keep}, false
	case dhcpv4.MessageTypeRelease:
		x.release()
		return Out{Keep: x.keep}, false
	}
	resp, err := dhcpv4.NewReplyFromRequest(x.req)
	if err != nil {
		s.Metrics.Refused("malformed")
		return out, false
	}
	for _, h := range x.chain() {
		var stop bool
		if resp, stop = h(x.req, resp); resp == nil || stop {
			break
		}
	}
	if resp == nil {
		return Out{Keep: x.keep}, false
	}
	s.Metrics.Answered(resp.MessageType())
	return x.out(resp), true
}

// begin reads a packet; why says what is wrong with it.
func (s *Server) begin(in In) (x *exchange, why string) {
	p := s.Plan()
	if p == nil || p.Ports[in.Link] == nil {
		return nil, "no_port"
	}
	req, err := dhcpv4.FromBytes(in.Data)
	if err != nil || req.OpCode != dhcpv4.OpcodeBootRequest {
		return nil, "malformed"
	}
	x = &exchange{Server: s, in: in, plan: p, port: p.Ports[in.Link], req: req, kind: req.MessageType(), now: s.Now(), relay: addr(req.GatewayIPAddr)}
	var isMAC bool
	if x.mac, isMAC = plan.MACOf(req.ClientHWAddr); !isMAC || req.HWType != iana.HWTypeEthernet {
		return nil, "not_ethernet"
	}
	switch x.kind {
	case dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeDecline, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeInform:
	default:
		return nil, "type"
	}
	var placed bool
	if x.place, placed = p.Place(x.port, x.mac, x.origin()); !placed {
		return nil, "no_network"
	}
	x.client = loader.Of(req)
	if x.wish = addr(req.RequestedIPAddress()); !x.wish.IsValid() || addr(req.ClientIPAddr).IsValid() {
		x.wish = addr(req.ClientIPAddr)
	}
	return x, ""
}

// origin returns an address of the wire that the client is on: its relay's, or
// its own when it renews by unicast from a network that this port has no
// address in; invalid means the port's own wire.
func (x *exchange) origin() netip.Addr {
	client := addr(x.req.ClientIPAddr)
	if x.relay.IsValid() || !client.IsValid() || x.in.From.Addr() != client {
		return x.relay
	}
	for _, s := range x.port.Networks {
		if s.Network.Prefix.Contains(client) {
			return netip.Addr{}
		}
	}
	return client
}

// addr returns an IPv4 address; invalid for none and for 0.0.0.0.
func addr(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// chain is the handlers in their order.
func (x *exchange) chain() []handler.Handler4 {
	if x.in.Port == ProxyPort {
		return []handler.Handler4{x.server, x.boot, x.proxy}
	}
	return append([]handler.Handler4{x.server, x.node, x.stranger, x.network, x.boot}, x.More...)
}
