package exchange

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dhcp/internal/lease"
	"github.com/luna-hpc/luna/services/dhcp/internal/loader"
	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

const (
	eth0 = 2 // carries the frontend address
	eth1 = 3 // a network of its own without a range

	nodeMAC     = "52:54:00:00:00:01"
	gpuMAC      = "52:54:00:00:00:02"
	farMAC      = "52:54:00:00:00:03" // behind a relay
	strangerMAC = "52:54:00:00:00:99"
)

// server is a DHCP server with a clock that the test turns.
type server struct {
	*Server
	t     *testing.T
	clock time.Time
	facts plan.Facts
	link  int
}

func facts() plan.Facts {
	boot := func(network, addr string) []*inventoryv1.NodeAddress {
		return []*inventoryv1.NodeAddress{{Interface: "BOOTIF", NetworkId: network, Address: addr}}
	}
	return plan.Facts{
		Cluster: &inventoryv1.Cluster{FrontendAddress: "10.30.255.254", FrontendPort: 7050},
		Networks: []*inventoryv1.Network{
			{Id: "N1", Name: "cluster", Cidr: "10.30.0.0/16", Gateway: "10.30.255.1", Ntp: []string{"10.30.255.2"}, Mtu: 9000,
				DhcpRange: &inventoryv1.AddressRange{Start: "10.30.128.1", End: "10.30.128.4"}, Reserved: []string{"10.30.128.2"}},
			{Id: "N2", Name: "second", Cidr: "10.40.0.0/16"},
			{Id: "N3", Name: "far", Cidr: "10.50.0.0/16", Gateway: "10.50.0.1", Nameservers: []string{"10.50.0.2", "10.50.0.3"},
				DhcpRange: &inventoryv1.AddressRange{Start: "10.50.9.1", End: "10.50.9.9"}},
		},
		Groups: map[string]*inventoryv1.Group{"G1": {Id: "G1"}, "G2": {Id: "G2", Domain: "gpu.example"}},
		Nodes: []*inventoryv1.Node{
			{Id: "1", Name: "node001", Mac: nodeMAC, GroupId: "G1", Addresses: boot("N1", "10.30.0.1")},
			{Id: "2", Name: "node002", Mac: gpuMAC, GroupId: "G2", Addresses: boot("N1", "10.30.0.2")},
			{Id: "3", Name: "node003", Mac: farMAC, GroupId: "G1", Addresses: boot("N3", "10.50.0.33")},
		},
		Links: []plan.Link{
			{Index: eth0, Name: "eth0", Addrs: []netip.Addr{netip.MustParseAddr("10.30.255.253"), netip.MustParseAddr("10.30.255.254")}},
			{Index: eth1, Name: "eth1", Addrs: []netip.Addr{netip.MustParseAddr("10.40.0.254")}},
		},
	}
}

func start(t *testing.T, f plan.Facts) *server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	read := make(chan struct{})
	close(read)
	s := &server{t: t, clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), facts: f, link: eth0}
	p := plan.Build(f, log)
	s.Server = &Server{
		Terms: Terms{NodeLease: 2 * time.Hour, StrangerLease: 10 * time.Minute, OfferHold: time.Minute, DeclineRest: time.Hour, Loaders: loader.Default()},
		Plan:  func() *plan.Plan { return p }, Leases: lease.NewTable(), LeasesRead: read, Head: "head1",
		Now: func() time.Time { return s.clock }, Log: log, Metrics: NewMetrics(prometheus.NewRegistry(), func() int { return 0 }),
		Warnings: rate.NewLimiter(rate.Inf, 1),
	}
	return s
}

type mod = dhcpv4.Modifier

func packet(t *testing.T, mac string, kind dhcpv4.MessageType, mods ...mod) *dhcpv4.DHCPv4 {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	p, err := dhcpv4.New(append([]mod{dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4}), dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(kind)}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reply is an answer with where it goes.
type reply struct {
	*dhcpv4.DHCPv4
	Out
}

// say sends a packet from a port; nil is silence. Leases to be kept come with the reply.
func (s *server) say(p *dhcpv4.DHCPv4, from string) (*reply, []lease.Lease) {
	s.t.Helper()
	out, ok := s.Answer(In{Link: s.link, Port: 67, From: netip.MustParseAddrPort(from), Data: p.ToBytes()})
	if !ok {
		return nil, out.Keep
	}
	d, err := dhcpv4.FromBytes(out.Data)
	if err != nil {
		s.t.Fatal(err)
	}
	return &reply{d, out}, out.Keep
}

func (s *server) discover(mac string, mods ...mod) *reply {
	s.t.Helper()
	r, _ := s.say(packet(s.t, mac, dhcpv4.MessageTypeDiscover, mods...), "0.0.0.0:68")
	return r
}

func (s *server) request(mac, addr string, mods ...mod) *reply {
	s.t.Helper()
	mods = append([]mod{dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(addr))), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 30, 255, 254)))}, mods...)
	r, _ := s.say(packet(s.t, mac, dhcpv4.MessageTypeRequest, mods...), "0.0.0.0:68")
	return r
}

// reboot asks for an address without naming a server (INIT-REBOOT).
func (s *server) reboot(mac, addr string) *reply {
	s.t.Helper()
	r, _ := s.say(packet(s.t, mac, dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(addr)))), "0.0.0.0:68")
	return r
}

func (s *server) renew(mac, addr string) *reply {
	s.t.Helper()
	r, _ := s.say(packet(s.t, mac, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(net.ParseIP(addr))), addr+":68")
	return r
}

func arch(a iana.Arch) mod { return dhcpv4.WithOption(dhcpv4.OptClientArch(a)) }

func class(c string) mod { return dhcpv4.WithOption(dhcpv4.OptClassIdentifier(c)) }

func asks(codes ...dhcpv4.OptionCode) mod {
	return dhcpv4.WithOption(dhcpv4.OptParameterRequestList(codes...))
}

func relayed(by string) mod { return dhcpv4.WithGatewayIP(net.ParseIP(by)) }

func (r *reply) is(t *testing.T, kind dhcpv4.MessageType, addr string) {
	t.Helper()
	if r == nil {
		t.Fatalf("no answer, not %s %s", kind, addr)
	}
	if r.MessageType() != kind || r.YourIPAddr.String() != addr {
		t.Fatalf("got %s %s, not %s %s", r.MessageType(), r.YourIPAddr, kind, addr)
	}
}

func (r *reply) silent(t *testing.T) {
	t.Helper()
	if r != nil {
		t.Fatalf("answered %s", r.Summary())
	}
}
