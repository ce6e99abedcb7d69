package exchange

import (
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// mac returns the i-th stranger's MAC.
func mac(i byte) string { return net.HardwareAddr{2, 0, 0, 0, 0, i}.String() }

func TestStrangerKeepsItsAddress(t *testing.T) {
	s := start(t, facts())
	a := s.discover(strangerMAC).YourIPAddr.String()
	s.discover(strangerMAC).is(t, offer, a)
	r := s.request(strangerMAC, a, dhcpv4.WithOption(dhcpv4.OptHostName("lap top\n")))
	r.is(t, ack, a)
	if len(r.Keep) != 1 || r.Keep[0].Addr.String() != a || r.Keep[0].Hostname != "laptop" || !r.Keep[0].Expires.Equal(s.clock.Add(10*time.Minute)) {
		t.Errorf("kept %v", r.Keep)
	}
	s.clock = s.clock.Add(5 * time.Minute)
	if r = s.renew(strangerMAC, a); len(r.Keep) != 1 || !r.Keep[0].Expires.Equal(s.clock.Add(10*time.Minute)) {
		t.Errorf("kept %v", r.Keep)
	}
	s.clock = s.clock.Add(24 * time.Hour)
	s.discover(strangerMAC).is(t, offer, a)
}

func TestRangeHasNothingThatIsSomebodys(t *testing.T) {
	f := facts()
	f.Rests = []*inventoryv1.Rest{{NetworkId: "N1", Address: "10.30.128.3", Until: "2026-01-02T03:05:00Z"}}
	s := start(t, f)
	got := map[string]bool{}
	for i := range byte(2) {
		got[s.discover(mac(i)).YourIPAddr.String()] = true
	}
	if !got["10.30.128.1"] || !got["10.30.128.4"] {
		t.Errorf("gave %v", got)
	}
	s.discover(mac(9)).silent(t)
	s.clock = s.clock.Add(time.Minute) // the rest is over; the offers are too
	s.discover(mac(9)).is(t, offer, "10.30.128.3")
}

func TestFullRangeIsSilentUntilALeaseEnds(t *testing.T) {
	s := start(t, facts())
	var first string
	for i := range byte(3) {
		a := s.discover(mac(i)).YourIPAddr.String()
		s.request(mac(i), a).is(t, ack, a)
		if i == 0 {
			first = a
		}
	}
	s.discover(strangerMAC).silent(t)
	if r, keep := s.say(packet(t, mac(0), dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(net.ParseIP(first))), first+":68"); r != nil || len(keep) != 1 || !keep[0].Expires.Equal(s.clock) {
		t.Fatalf("release: answer %v, kept %v", r, keep)
	}
	s.discover(strangerMAC).is(t, offer, first)
}

func TestStrangerIsRefusedWhatIsNotIts(t *testing.T) {
	s := start(t, facts())
	a := s.discover(mac(1)).YourIPAddr.String()
	s.request(mac(1), a).is(t, ack, a)
	for _, other := range []string{a, "10.30.0.1", "10.30.128.2", "192.168.1.5"} {
		s.reboot(strangerMAC, other).is(t, nak, none)
	}
	s.reboot(mac(1), "10.30.128.3").is(t, nak, none)
	s.reboot(mac(1), a).is(t, ack, a)
}

func TestDeclinedAddressRests(t *testing.T) {
	s := start(t, facts())
	a := s.discover(strangerMAC).YourIPAddr.String()
	s.request(strangerMAC, a)
	decline := func(mac string) (*reply, int) {
		r, keep := s.say(packet(t, mac, dhcpv4.MessageTypeDecline, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(a)))), "0.0.0.0:68")
		return r, len(keep)
	}
	if r, n := decline(mac(7)); r != nil || n != 0 {
		t.Fatal("a machine declined another's address")
	}
	if r, n := decline(strangerMAC); r != nil || n != 1 {
		t.Fatalf("decline: answer %v, %d kept", r, n)
	}
	if b := s.discover(strangerMAC).YourIPAddr.String(); b == a {
		t.Fatal("the declined address was offered again")
	}
	s.reboot(mac(7), a).is(t, nak, none)
	s.clock = s.clock.Add(2 * time.Hour)
	s.reboot(mac(7), a).is(t, ack, a)
}

func TestLearnedNodeMovesToItsAddress(t *testing.T) {
	f := facts()
	f.Nodes[0].Mac = ""
	s := start(t, f)
	a := s.discover(nodeMAC).YourIPAddr.String()
	s.request(nodeMAC, a).is(t, ack, a)
	learned := start(t, facts())
	learned.Leases.Merge(s.Leases.Live(s.clock), s.clock)
	learned.renew(nodeMAC, a).is(t, nak, none)
	learned.discover(nodeMAC).is(t, offer, "10.30.0.1")
}

func TestHeadsShareTheRange(t *testing.T) {
	f := facts()
	f.Networks[0].DhcpRange.End, f.Networks[0].Reserved = "10.30.128.8", nil
	f.Cluster.ClusterIps = []string{"10.30.255.253", "10.30.255.252"}
	second := start(t, f)
	f2 := f
	f2.Links = f.Links[:1:1]
	f2.Links[0].Addrs = f.Links[0].Addrs[:0:0]
	f2.Links[0].Addrs = append(f2.Links[0].Addrs, addr(net.IPv4(10, 30, 255, 252)))
	first := start(t, f2)
	for i := range byte(4) {
		if a := first.discover(mac(i)).YourIPAddr[3]; a > 4 {
			t.Errorf("the first head offered .%d", a)
		}
		if a := second.discover(mac(i)).YourIPAddr[3]; a < 5 {
			t.Errorf("the second head offered .%d", a)
		}
	}
	second.reboot(mac(9), "10.30.128.1").silent(t)
	a := first.discover(mac(0)).YourIPAddr.String()
	first.request(mac(0), a, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 30, 255, 252)))).is(t, ack, a)
	second.Leases.Merge(first.Leases.Live(first.clock), first.clock)
	second.renew(mac(0), a).is(t, ack, a)
}

func TestNothingForStrangersBeforeTheLeasesAreRead(t *testing.T) {
	s := start(t, facts())
	s.LeasesRead = make(chan struct{})
	s.discover(strangerMAC).silent(t)
	s.discover(nodeMAC).is(t, offer, "10.30.0.1")
}
