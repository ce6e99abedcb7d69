package dhcp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	dhcpv1 "github.com/luna-hpc/luna/proto/dhcp/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dhcp"
)

const (
	nodeMAC     = "52:54:00:00:00:01"
	strangerMAC = "52:54:00:00:00:99"
)

func put(t *testing.T, c *bus.Conn, noun, id string, m proto.Message) {
	t.Helper()
	data, err := wire.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.JS.Publish(t.Context(), subject.Object(noun, id), data); err != nil {
		t.Fatal(err)
	}
}

// furnish puts a cluster with a network and a node on the bus.
func furnish(t *testing.T, c *bus.Conn) {
	t.Helper()
	put(t, c, "cluster", "C", &inventoryv1.Cluster{Id: "C", FrontendAddress: "10.30.255.254", FrontendPort: 7050})
	put(t, c, "network", "N", &inventoryv1.Network{Id: "N", Name: "cluster", Cidr: "10.30.0.0/16", Gateway: "10.30.255.1", Mtu: 1400,
		DhcpRange: &inventoryv1.AddressRange{Start: "10.30.128.1", End: "10.30.128.99"}})
	put(t, c, "node", "1", &inventoryv1.Node{Id: "1", Name: "node001", Mac: nodeMAC, Addresses: []*inventoryv1.NodeAddress{
		{Interface: "BOOTIF", NetworkId: "N", Address: "10.30.0.1"}}})
}

func start(t *testing.T, cfg dhcp.Config, d run.Deps) (stop func()) {
	t.Helper()
	d.Metrics = prometheus.NewRegistry()
	task, err := dhcp.New(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func leases(t *testing.T, c *bus.Conn) []*dhcpv1.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		r, err := bus.Request(ctx, c, subject.Command("dhcp", "lease", "list"), &dhcpv1.LeaseListRequest{}, &dhcpv1.LeaseListReply{})
		if err == nil {
			return r.Leases
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func expect(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, not %q", k, got[k], v)
		}
	}
	if t.Failed() {
		t.Fatalf("given %v", got)
	}
}

func deps(t *testing.T, c *bus.Conn) run.Deps {
	d := run.Deps{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Bus: c, Data: t.TempDir(), Head: "head1"}
	if err := os.Mkdir(filepath.Join(d.Data, "bootscript"), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestClientsOfOthers(t *testing.T) {
	w, inside := plugged()
	if !inside {
		onAWire(t)
		return
	}
	srv := natstest.Start(t)
	conn := srv.Connect(t, "dhcp")
	d := deps(t, conn)
	start(t, dhcp.Default(), d)
	furnish(t, conn)
	ip(t, "addr", "add", "10.30.255.254/16", "dev", w.headLink) // after the start: the service follows

	w.become(t, nodeMAC)
	expect(t, w.udhcpc(t, "-V", "PXEClient:Arch:00007:UNDI:003016", "-x", "0x5d:0007"), map[string]string{
		"ip": "10.30.0.1", "mask": "16", "router": "10.30.255.1", "dns": "10.30.255.254", "domain": "cluster", "hostname": "node001",
		"mtu": "1400", "serverid": "10.30.255.254", "siaddr": "10.30.255.254", "boot_file": "snponly.efi", "bootfile": "snponly.efi",
		"tftp": "10.30.255.254", "lease": "7200", "search": "cluster"})

	notices := listenForNotices(t, d)
	expect(t, w.udhcpc(t, "-B", "-x", "0x5d:0000", "-x", "0x4d:69505845"), map[string]string{
		"ip": "10.30.0.1", "boot_file": "http://10.30.255.254:7050/luna?step=boot"})
	if n := notices(t); n.MAC != nodeMAC || n.Address != "10.30.0.1" || n.At.IsZero() {
		t.Errorf("notice %+v", n)
	}
	if got := leases(t, conn); len(got) != 0 {
		t.Errorf("leases of nodes: %v", got)
	}

	w.become(t, strangerMAC)
	got := w.dhclient(t)
	if !strings.HasPrefix(got["new_ip_address"], "10.30.128.") || got["new_dhcp_lease_time"] != "600" {
		t.Fatalf("a stranger was given %v", got)
	}
	if l := leases(t, conn); len(l) != 0 {
		t.Errorf("leases after the release: %v", l)
	}
	w.relayed(t)
	w.proxied(t)
}

// dhclient is ISC's client; it is bound, then gives its address back.
func (w cable) dhclient(t *testing.T) map[string]string {
	t.Helper()
	path, output := script(t, `case "$reason" in BOUND) env > OUTPUT; ip addr add $new_ip_address/16 dev $interface;; esac; exit 0`)
	dir := filepath.Dir(path)
	args := []string{"-4", "-1", "-v", "-sf", path, "-pf", filepath.Join(dir, "pid"), "-lf", filepath.Join(dir, "leases"), w.machineLink}
	w.machine(t, append([]string{"dhclient"}, args...)...)
	w.machine(t, append([]string{"dhclient", "-r"}, args...)...)
	return given(t, output)
}

type noticed struct {
	MAC     string
	Address string
	At      time.Time
}

func listenForNotices(t *testing.T, d run.Deps) func(t *testing.T) noticed {
	t.Helper()
	c, err := net.ListenPacket("unixgram", filepath.Join(d.Data, "bootscript", "ipxe.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func(t *testing.T) (n noticed) {
		t.Helper()
		buf := make([]byte, 1024)
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		size, _, err := c.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(buf[:size], &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// relayed asks as a relay of the network does.
func (w cable) relayed(t *testing.T) {
	t.Helper()
	ip(t, "-n", w.machines, "addr", "add", "10.30.255.1/16", "dev", w.machineLink)
	hw, _ := net.ParseMAC(nodeMAC)
	p, err := dhcpv4.NewDiscovery(hw, dhcpv4.WithGatewayIP(net.IPv4(10, 30, 255, 1)))
	if err != nil {
		t.Fatal(err)
	}
	r, from := w.converse(t, "10.30.255.1:67", 67, p)
	if r.MessageType() != dhcpv4.MessageTypeOffer || !r.YourIPAddr.Equal(net.IPv4(10, 30, 0, 1)) || from != "10.30.255.254:67" {
		t.Errorf("relay got from %s %s", from, r.Summary())
	}
}

// proxied asks on port 4011 as a PXE ROM with an address does.
func (w cable) proxied(t *testing.T) {
	t.Helper()
	hw, _ := net.ParseMAC(nodeMAC)
	p, err := dhcpv4.New(dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithClientIP(net.IPv4(10, 30, 255, 1)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007")), dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64)))
	if err != nil {
		t.Fatal(err)
	}
	r, from := w.converse(t, "10.30.255.1:4011", 4011, p)
	if r.BootFileName != "snponly.efi" || r.ClassIdentifier() != "PXEClient" || from != "10.30.255.254:4011" {
		t.Errorf("PXE ROM got from %s %s", from, r.Summary())
	}
}

// converse sends a packet to the head and returns the answer and its sender.
func (w cable) converse(t *testing.T, from string, port int, p *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, string) {
	t.Helper()
	c := w.listen(t, from)
	buf := make([]byte, 2048)
	for range 20 {
		if _, err := c.WriteTo(p.ToBytes(), &net.UDPAddr{IP: net.IPv4(10, 30, 255, 254), Port: port}); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, peer, err := c.ReadFrom(buf)
		if err != nil {
			continue
		}
		r, err := dhcpv4.FromBytes(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		return r, peer.String()
	}
	t.Fatalf("no answer to %s", p.Summary())
	return nil, ""
}

func TestLeasesOutliveTheBusAndTheProcess(t *testing.T) {
	w, inside := plugged()
	if !inside {
		onAWire(t)
		return
	}
	ip(t, "addr", "add", "10.30.255.254/16", "dev", w.headLink)
	srv := natstest.Start(t)
	conn := srv.Connect(t, "dhcp")
	d := deps(t, conn)
	stop := start(t, dhcp.Default(), d)
	furnish(t, conn)
	w.become(t, "52:54:00:00:00:77")
	first := w.udhcpc(t)["ip"]
	var second string
	srv.Restart(t, func() {
		w.become(t, strangerMAC)
		second = w.udhcpc(t)["ip"]
		stop()
		conn.Close()
		conn = srv.Connect(t, "dhcp")
		d.Bus = conn
		start(t, dhcp.Default(), d)
		w.become(t, "52:54:00:00:00:78")
		if third := w.udhcpc(t, "-r", second)["ip"]; third == second || third == first {
			t.Errorf("%s is two machines'", third)
		}
		w.become(t, strangerMAC)
		if again := w.udhcpc(t)["ip"]; again != second {
			t.Errorf("a stranger had %s and now has %s", second, again)
		}
	})
	waitForLease(t, conn, strangerMAC, second)
	if got := leases(t, conn); len(got) != 3 || got[0].Head != "head1" || got[0].NetworkId != "N" {
		t.Errorf("leases %v", got)
	}
}

// waitForLease waits until the bus has the lease of a MAC.
func waitForLease(t *testing.T, c *bus.Conn, mac, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	sub, err := c.NATS.SubscribeSync(subject.AllLeases)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	for {
		s, err := c.JS.Stream(ctx, subject.Seen)
		if err == nil {
			if m, err := s.GetLastMsgForSubject(ctx, subject.Lease(strings.ReplaceAll(mac, ":", ""))); err == nil {
				l := &dhcpv1.Lease{}
				if err := wire.Event(m.Data, l); err != nil || l.Address != addr || m.Header.Get("Nats-TTL") == "" {
					t.Fatalf("the bus has %v %v %v", l, m.Header, err)
				}
				return
			}
		}
		if _, err := sub.NextMsgWithContext(ctx); err != nil {
			t.Fatalf("the bus was not told: %v", err)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	w, inside := plugged()
	if !inside {
		onAWire(t)
		return
	}
	ip(t, "addr", "add", "10.30.255.254/16", "dev", w.headLink)
	other, err := net.ListenPacket("udp4", "0.0.0.0:67")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn := natstest.Start(t).Connect(t, "dhcp")
	furnish(t, conn)
	d := deps(t, conn)
	d.Metrics = prometheus.NewRegistry()
	said := make(chan string, 100)
	d.Log = slog.New(slog.NewTextHandler(lines(said), nil))
	task, err := dhcp.New(dhcp.Default(), d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	for line := range said {
		if strings.Contains(line, "trying again") {
			break
		}
	}
	if err := task.Ready(); err == nil || !strings.Contains(err.Error(), "the port is taken by dhcp.test") {
		t.Errorf("ready: %v", err)
	}
	other.Close()
	w.become(t, nodeMAC)
	expect(t, w.udhcpc(t), map[string]string{"ip": "10.30.0.1"})
	if err := task.Ready(); err != nil {
		t.Errorf("ready: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// lines is a writer that hands on what it is written; it drops what nobody takes.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}
