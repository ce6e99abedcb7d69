package netif

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// cable runs the rest of a test in a network namespace of its own with two
// cards, card0 and card1, on one cable. The thread is never unlocked: it ends
// with the test, and the namespace with it.
func cable(t *testing.T) (mac net.HardwareAddr) {
	t.Helper()
	testenv.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		testenv.Lacks(t, "no network namespaces here: ", err)
	}
	mac = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "card0", HardwareAddr: mac}, PeerName: "card1"}
	if err := netlink.LinkAdd(veth); err != nil {
		testenv.Lacks(t, "no virtual cards here: ", err)
	}
	if err := Loopback(); err != nil {
		t.Fatal(err)
	}
	return mac
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func up(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindNamesWhatThereIs(t *testing.T) {
	mac := cable(t)
	if name, err := Wait(within(t, time.Second), mac); err != nil || name != "card0" {
		t.Errorf("found %q, %v", name, err)
	}
	over := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "a0", ParentIndex: 2, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}}}
	if link, err := netlink.LinkByName("card1"); err == nil {
		over.ParentIndex = link.Attrs().Index
	}
	if err := netlink.LinkAdd(over); err == nil {
		if name, err := Find(over.HardwareAddr); err == nil {
			t.Errorf("took %s for a card", name)
		}
	}
	_, err := Wait(within(t, time.Millisecond), net.HardwareAddr{2, 0, 0, 0, 0, 7})
	if err == nil || !strings.Contains(err.Error(), "no network interface has MAC 02:00:00:00:00:07; there are ") ||
		!strings.Contains(err.Error(), "card0 52:54:00:00:00:01") {
		t.Errorf("got %v", err)
	}
}

func TestMACIsThePermanentOne(t *testing.T) {
	mac := cable(t)
	if got, err := MAC("card0"); err != nil || !bytes.Equal(got, mac) {
		t.Errorf("card0 has %s, %v", got, err)
	}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", HardwareAddr: mac}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"br0", "lo", "card7"} {
		if got, err := MAC(name); err != nil || got != nil {
			t.Errorf("%s is a card with %s, %v", name, got, err)
		}
	}
}

func TestNoCarrier(t *testing.T) {
	cable(t)
	if err := Up(within(t, time.Millisecond), "card0"); err == nil || !strings.Contains(err.Error(), "card0 has no carrier") {
		t.Errorf("got %v", err)
	}
	up(t, "card1")
	if err := Up(within(t, 5*time.Second), "card0"); err != nil {
		t.Error(err)
	}
}

func TestApply(t *testing.T) {
	cable(t)
	up(t, "card0", "card1")
	s := Setting{Address: netip.MustParsePrefix("10.30.0.1/16"), Gateway: netip.MustParseAddr("10.31.0.1"), MTU: 1400}
	// The first is to be taken off, and the same twice is well.
	for _, address := range []string{"10.99.0.1/24", "10.30.0.1/16", "10.30.0.1/16"} {
		s.Address = netip.MustParsePrefix(address)
		if err := Apply("card0", s); err != nil {
			t.Fatal(err)
		}
	}
	link, err := netlink.LinkByName("card0")
	if err != nil {
		t.Fatal(err)
	}
	got, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil || len(got) != 1 || got[0].IPNet.String() != "10.30.0.1/16" || link.Attrs().MTU != 1400 {
		t.Errorf("addresses %v, MTU %d, %v", got, link.Attrs().MTU, err)
	}
	if routes, err := netlink.RouteGet(net.IPv4(192, 0, 2, 1)); err != nil || !routes[0].Gw.Equal(net.IPv4(10, 31, 0, 1)) {
		t.Errorf("routes %v, %v", routes, err)
	}
	if err := Down("card0"); err != nil {
		t.Fatal(err)
	}
	if got, err := netlink.AddrList(link, netlink.FAMILY_V4); err != nil || len(got) != 0 {
		t.Errorf("after down addresses %v, %v", got, err)
	}
}

func TestApplyIPv6(t *testing.T) {
	cable(t)
	up(t, "card0", "card1")
	s := Setting{Address: netip.MustParsePrefix("fd00::1/64"), Gateway: netip.MustParseAddr("fd00::ff")}
	if err := Apply("card0", s); err != nil {
		t.Fatal(err)
	}
	if routes, err := netlink.RouteGet(net.ParseIP("2001:db8::1")); err != nil || !routes[0].Gw.Equal(net.ParseIP("fd00::ff")) {
		t.Errorf("routes %v, %v", routes, err)
	}
}

func TestLease(t *testing.T) {
	cable(t)
	up(t, "card0", "card1")
	if err := Apply("card1", Setting{Address: netip.MustParsePrefix("10.30.255.254/16")}); err != nil {
		t.Fatal(err)
	}
	if err := Up(within(t, 5*time.Second), "card0"); err != nil {
		t.Fatal(err)
	}
	serve(t)
	got, err := Lease(within(t, 20*time.Second), "card0", "node001")
	if err != nil {
		t.Fatal(err)
	}
	if got.Address.String() != "10.30.0.7/16" || got.Gateway.String() != "10.30.255.1" || got.MTU != 9000 ||
		got.Resolver() != "nameserver 10.30.255.254\nnameserver 10.30.255.253\nsearch cluster\n" {
		t.Errorf("got %+v", got)
	}
	if v := got.Values("card0"); v["dns"] != "10.30.255.254,10.30.255.253" || v["gateway"] != "10.30.255.1" || v["address"] != "10.30.0.7/16" {
		t.Errorf("values %v", v)
	}
}

// serve answers DHCP on card1.
func serve(t *testing.T) {
	t.Helper()
	head := net.IPv4(10, 30, 255, 254)
	conn, err := server4.NewIPv4UDPConn("card1", &net.UDPAddr{Port: 67})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
		kind := map[dhcpv4.MessageType]dhcpv4.MessageType{
			dhcpv4.MessageTypeDiscover: dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeRequest: dhcpv4.MessageTypeAck,
		}[m.MessageType()]
		reply, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithServerIP(head),
			dhcpv4.WithYourIP(net.IPv4(10, 30, 0, 7)), dhcpv4.WithNetmask(net.CIDRMask(16, 32)), dhcpv4.WithLeaseTime(3600),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(head)), dhcpv4.WithRouter(net.IPv4(10, 30, 255, 1)),
			dhcpv4.WithDNS(head, net.IPv4(10, 30, 255, 253)), dhcpv4.WithOption(dhcpv4.OptDomainName("cluster")),
			dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x23, 0x28}))
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := conn.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68}); err != nil {
			t.Error(err)
		}
	}
	server, err := server4.NewServer("", nil, answer, server4.WithConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve() }()
	t.Cleanup(func() { server.Close(); <-done })
}

func TestLeaseThatIsNone(t *testing.T) {
	for _, m := range []dhcpv4.Modifier{
		dhcpv4.WithYourIP(net.IPv4zero), dhcpv4.WithNetmask(nil), dhcpv4.WithNetmask(net.CIDRMask(0, 32)),
	} {
		ack, err := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 1)), dhcpv4.WithNetmask(net.CIDRMask(8, 32)), m)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := setting(ack); err == nil {
			t.Errorf("took %v", s)
		}
	}
}
