package dns_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dns"
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

// freePort returns a port that nobody had on an address.
func freePort(t *testing.T, addr string) uint16 {
	t.Helper()
	pc, err := net.ListenPacket("udp", addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	return pc.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func start(t *testing.T, cfg dns.Config, d run.Deps) (stop func()) {
	t.Helper()
	d.Metrics = prometheus.NewRegistry()
	task, err := dns.New(cfg, d)
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

func zones(t *testing.T, c *bus.Conn) *inventoryv1.ClusterMakednsReply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		r, err := bus.Request(ctx, c, subject.Command("dns", "zone", "list"), &inventoryv1.ClusterMakednsRequest{}, &inventoryv1.ClusterMakednsReply{})
		if err == nil {
			return r
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// resolve asks until somebody answers.
func resolve(t *testing.T, at, name string) *mdns.Msg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		m, _, err := (&mdns.Client{Timeout: time.Second}).ExchangeContext(ctx, new(mdns.Msg).SetQuestion(name, mdns.TypeA), at)
		if err == nil {
			return m
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestServiceFollowsTheInventory(t *testing.T) {
	srv := natstest.Start(t)
	conn := srv.Connect(t, "dns")
	deps := run.Deps{Log: slog.New(slog.DiscardHandler), Bus: conn, Data: t.TempDir(), Head: "head1"}
	cfg := dns.Default()
	cfg.Addresses, cfg.Port = []netip.Addr{netip.MustParseAddr("127.0.0.71")}, freePort(t, "127.0.0.71")
	at := netip.AddrPortFrom(cfg.Addresses[0], cfg.Port).String()
	stop := start(t, cfg, deps)
	if got := zones(t, conn).Zones; len(got) != 0 {
		t.Fatalf("zones before init: %v", got)
	}
	put(t, conn, "cluster", "C", &inventoryv1.Cluster{Id: "C", FrontendAddress: "10.30.255.254"})
	put(t, conn, "network", "N", &inventoryv1.Network{Id: "N", Name: "cluster", Cidr: "10.30.0.0/16"})
	put(t, conn, "node", "1", &inventoryv1.Node{Id: "1", Name: "node001", Addresses: []*inventoryv1.NodeAddress{
		{Interface: "BOOTIF", NetworkId: "N", Address: "10.30.0.1"}}})
	if got := zones(t, conn); !slices.Equal(got.Zones, []string{"30.10.in-addr.arpa.", "cluster."}) || got.Revision != 3 {
		t.Fatalf("zones %v", got)
	}
	if m := resolve(t, at, "node001.cluster."); len(m.Answer) != 1 {
		t.Fatalf("answer %v", m)
	}
	put(t, conn, "node", "1", &inventoryv1.Node{Id: "1", Name: "node007", Addresses: []*inventoryv1.NodeAddress{
		{Interface: "BOOTIF", NetworkId: "N", Address: "10.30.0.1"}}})
	zones(t, conn)
	if old, now := resolve(t, at, "node001.cluster."), resolve(t, at, "node007.cluster."); old.Rcode != mdns.RcodeNameError || len(now.Answer) != 1 {
		t.Fatalf("after the rename: %v\n%v", old, now)
	}
	stop()
	srv.Restart(t, func() {
		stop := start(t, cfg, deps)
		if m := resolve(t, at, "node007.cluster."); len(m.Answer) != 1 {
			t.Errorf("without the bus: %v", m)
		}
		stop()
	})
}
