package listen_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dns/internal/answer"
	"github.com/luna-hpc/luna/services/dns/internal/current"
	"github.com/luna-hpc/luna/services/dns/internal/listen"
	"github.com/luna-hpc/luna/services/dns/internal/zone"
)

var quiet = slog.New(slog.DiscardHandler)

// host is a DNS server whose addresses and zones the test sets.
type host struct {
	*listen.Sockets
	set     atomic.Pointer[zone.Set]
	want    atomic.Pointer[[]netip.Addr]
	changed chan chan struct{}
}

func startHost(t *testing.T, port uint16, addrs ...string) *host {
	t.Helper()
	h := &host{changed: make(chan chan struct{}, 1)}
	h.changed <- make(chan struct{})
	h.set.Store(zone.Build(zone.Facts{Revision: 7, Head: "head1",
		Cluster:  &inventoryv1.Cluster{FrontendAddress: "10.30.255.254"},
		Networks: []*inventoryv1.Network{{Id: "N", Name: "cluster", Cidr: "10.30.0.0/16", Include: strings.Repeat("big TXT \""+strings.Repeat("x", 200)+"\"\n", 1) + bigText()}},
		Nodes: []*inventoryv1.Node{{Id: "1", Name: "node001", Addresses: []*inventoryv1.NodeAddress{
			{Interface: "BOOTIF", NetworkId: "N", Address: "10.30.0.1"}}}},
	}, zone.Times{TTL: 60, Negative: 10}, quiet))
	h.setAddrs(addrs...)
	h.Sockets = &listen.Sockets{Port: port, Handler: answer.New(h.set.Load, prometheus.NewRegistry()), Log: quiet,
		Want: func() ([]netip.Addr, bool, error) { return *h.want.Load(), true, nil },
		Changed: func() <-chan struct{} {
			c := <-h.changed
			h.changed <- c
			return c
		}}
	settled := h.Settled()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-settled
	return h
}

func bigText() string {
	var b strings.Builder
	for i := range 20 {
		b.WriteString("big TXT \"" + strings.Repeat(string(rune('a'+i)), 200) + "\"\n")
	}
	return b.String()
}

func (h *host) setAddrs(addrs ...string) {
	var all []netip.Addr
	for _, a := range addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	h.want.Store(&all)
}

// move changes the wanted addresses and waits until the sockets followed.
func (h *host) move(addrs ...string) {
	h.setAddrs(addrs...)
	settled := h.Settled()
	close(<-h.changed)
	h.changed <- make(chan struct{})
	<-settled
}

func dig(t *testing.T, at netip.AddrPort, args ...string) string {
	t.Helper()
	base := []string{"@" + at.Addr().String(), "-p", netip.AddrPortFrom(at.Addr(), at.Port()).String()[len(at.Addr().String())+1:], "+time=3", "+tries=3", "+nocookie"}
	out, err := exec.Command("dig", append(base, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestDigAsAStranger(t *testing.T) {
	h := startHost(t, 0, "127.0.0.53")
	if err := h.Ready(); err != nil {
		t.Fatal(err)
	}
	at := h.Bound()[0]
	for _, c := range []struct {
		args string
		want []string
	}{
		{"NODE001.Cluster A", []string{"status: NOERROR", "flags: qr aa rd;", "node001.cluster.\t60\tIN\tA\t10.30.0.1", "udp: 1232"}},
		{"-x 10.30.0.1", []string{"node001.cluster."}},
		{"+tcp node001.cluster", []string{"10.30.0.1", "(TCP)"}},
		{"nobody.cluster", []string{"status: NXDOMAIN", "cluster.\t\t10\tIN\tSOA\thead1.cluster. hostmaster.cluster. 7 "}},
		{"node001.cluster AAAA", []string{"status: NOERROR", "ANSWER: 0", "SOA"}},
		{"example.org", []string{"status: REFUSED"}},
		{"+noedns +ignore big.cluster TXT", []string{"flags: qr aa tc rd;"}},
		{"+noedns big.cluster TXT", []string{"ANSWER: 21", "(TCP)"}},
		{"+edns=7 +noednsnegotiation node001.cluster", []string{"status: BADVERS"}},
		{"+opcode=NOTIFY cluster SOA", []string{"status: NOTIMP"}},
		{"-c CH version.bind TXT", []string{"status: REFUSED"}},
	} {
		got := dig(t, at, strings.Fields(c.args)...)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("dig %s: no %q in\n%s", c.args, w, got)
			}
		}
	}
}

func TestSocketsFollowTheAddresses(t *testing.T) {
	h := startHost(t, 0, "127.0.0.61")
	h.move("127.0.0.62", "127.0.0.63")
	got := map[string]bool{}
	for _, b := range h.Bound() {
		got[b.Addr().String()] = true
		dig(t, b, "node001.cluster")
	}
	if len(got) != 2 || got["127.0.0.61"] {
		t.Errorf("listens on %v", h.Bound())
	}
	h.move()
	if h.Ready() == nil {
		t.Error("ready without an address")
	}
}

func TestTakenPortIsNamedAndTriedAgain(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.64:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h := startHost(t, taken.LocalAddr().(*net.UDPAddr).AddrPort().Port(), "127.0.0.64")
	if err := h.Ready(); err == nil || !strings.Contains(err.Error(), "taken by") {
		t.Fatalf("ready: %v", err)
	}
	taken.Close()
	h.move("127.0.0.64")
	if err := h.Ready(); err != nil {
		t.Fatal(err)
	}
	dig(t, h.Bound()[0], "node001.cluster")
}

func TestOnlyAddressesOfTheClusterAreChosen(t *testing.T) {
	a := netip.MustParseAddr
	site := current.Site{Heads: []netip.Addr{a("192.0.2.1")}, Networks: []netip.Prefix{netip.MustParsePrefix("10.30.0.0/16"), netip.MustParsePrefix("fd00::/64")}}
	got := listen.Choose(site, []netip.Addr{a("172.17.0.1"), a("fd00::1"), a("10.30.255.254"), a("192.0.2.1"), a("192.168.1.1")})
	if len(got) != 3 || got[0] != a("10.30.255.254") || got[1] != a("192.0.2.1") || got[2] != a("fd00::1") {
		t.Errorf("chose %v", got)
	}
}
