package plan

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func addrs(texts ...string) []netip.Addr { return addresses(texts) }

func room() Facts {
	return Facts{
		Cluster: &inventoryv1.Cluster{FrontendAddress: "10.30.255.254"},
		Networks: []*inventoryv1.Network{
			{Id: "N1", Name: "cluster", Cidr: "10.30.0.0/16"},
			{Id: "N2", Name: "guests", Cidr: "10.40.0.0/24", DhcpRange: &inventoryv1.AddressRange{Start: "10.40.0.10", End: "10.40.0.99"}},
			{Id: "N3", Name: "ipmi", Cidr: "10.50.0.0/24"},
			{Id: "N6", Name: "six", Cidr: "fd00::/64"},
		},
		Links: []Link{
			{Index: 2, Name: "eth0", Addrs: addrs("192.168.1.7", "10.30.255.253", "10.30.255.254")},
			{Index: 3, Name: "eth1", Addrs: addrs("10.40.0.1")},
			{Index: 4, Name: "eth2", Addrs: addrs("10.50.0.1")},
			{Index: 5, Name: "wan", Addrs: addrs("203.0.113.5")},
		},
	}
}

func build(f Facts) *Plan { return Build(f, slog.New(slog.DiscardHandler)) }

// ports is where a plan answers, as name server networks.
func ports(p *Plan) string {
	var all []string
	for i := range 10 {
		if port := p.Ports[i]; port != nil {
			text := port.Name + " " + port.Server.String()
			for _, n := range port.Networks {
				text += " " + n.Network.Name + "@" + n.Server.String()
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, "; ")
}

func TestPorts(t *testing.T) {
	const frontend, guests = "eth0 10.30.255.254 cluster@10.30.255.254", "eth1 10.40.0.1 guests@10.40.0.1"
	for _, c := range []struct {
		what   string
		change func(f *Facts)
		want   string
	}{
		{"the frontend's and those with a range", func(*Facts) {}, frontend + "; " + guests},
		{"none before init", func(f *Facts) { f.Cluster = nil }, ""},
		{"named ones only", func(f *Facts) { f.Interfaces = []string{"eth2", "wan", "gone"} }, "eth2 10.50.0.1 ipmi@10.50.0.1; wan 203.0.113.5"},
		{"the frontend address is elsewhere", func(f *Facts) { f.Links[0].Addrs = addrs("10.30.255.253") }, guests},
		{"a head's own address before others", func(f *Facts) {
			f.Networks[0].DhcpRange = &inventoryv1.AddressRange{Start: "10.30.9.1", End: "10.30.9.9"}
			f.Links[0].Addrs = addrs("10.30.0.77", "10.30.255.253")
			f.Cluster.ClusterIps = []string{"10.30.255.253", "10.30.255.252"}
		}, "eth0 10.30.255.253 cluster@10.30.255.253; " + guests},
	} {
		f := room()
		c.change(&f)
		if got := ports(build(f)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.what, got, c.want)
		}
	}
}

func TestHeadThatIsNoneOfTheClustersSaysSo(t *testing.T) {
	f := room()
	f.Cluster.ClusterIps = []string{"10.9.9.1", "10.9.9.2"}
	p := build(f)
	if p.Trouble == "" || p.Network("N2").Slice != nil {
		t.Error("a head gives out addresses of a slice that it does not have")
	}
}

func TestHeadWithoutAnAddressSaysSo(t *testing.T) {
	f := room()
	f.Links = f.Links[3:]
	if build(f).Trouble == "" {
		t.Error("a head that answers nowhere says nothing")
	}
	f.Cluster = nil
	if trouble := build(f).Trouble; trouble != "" {
		t.Errorf("before init: %s", trouble)
	}
}

func TestSlicesCoverTheRangeOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 10, 255, 1000} {
		r, err := NewRange(netip.MustParseAddr("10.0.0.1"), (&Range{first: 0x0a000001}).At(size-1))
		if err != nil || r.Len() != size {
			t.Fatalf("%v %v", r, err)
		}
		for heads := 1; heads <= 5; heads++ {
			seen := map[netip.Addr]int{}
			for i := range heads {
				if s := r.Slice(i, heads); s != nil {
					for j := range s.Len() {
						seen[s.At(j)]++
					}
				}
			}
			for a, n := range seen {
				if n != 1 || !r.Contains(a) {
					t.Errorf("%d heads: %s is in %d slices", heads, a, n)
				}
			}
			if len(seen) != size {
				t.Errorf("%d heads have %d of %d addresses", heads, len(seen), size)
			}
		}
	}
}

func TestBadRangeIsNoRange(t *testing.T) {
	for _, r := range []*inventoryv1.AddressRange{{Start: "x", End: "10.0.0.1"}, {Start: "10.0.0.2", End: "10.0.0.1"}, {Start: "fd00::1", End: "fd00::2"}} {
		f := room()
		f.Networks[1].DhcpRange = r
		if build(f).Network("N2").Range != nil {
			t.Errorf("%v is a range", r)
		}
	}
}

func TestTakenAddresses(t *testing.T) {
	f := room()
	n := f.Networks[1]
	n.Gateway, n.Reserved, n.NsIp, n.DhcpRange.Start = "10.40.0.20", []string{"10.40.0.21"}, "10.40.0.22", "10.40.0.0"
	n.Nameservers = []string{"10.40.0.23"}
	f.Cluster.ClusterIps = []string{"10.40.0.24"}
	f.Nodes = []*inventoryv1.Node{{Id: "1", Name: "n", Addresses: []*inventoryv1.NodeAddress{{Interface: "eth1", NetworkId: "N2", Address: "10.40.0.25"}}}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Rests = []*inventoryv1.Rest{{NetworkId: "N2", Address: "10.40.0.26", Until: "2026-01-01T00:00:01Z"}, {NetworkId: "N2", Address: "10.40.0.27", Until: "2026-01-01T00:00:00Z"}}
	net := build(f).Network("N2")
	for i, free := range map[int]bool{0: false, 1: false, 19: true, 20: false, 21: false, 22: false, 23: false, 24: false, 25: false, 26: false, 27: true} {
		if got := net.Free(netip.MustParseAddr(fmt.Sprintf("10.40.0.%d", i)), now); got != free {
			t.Errorf("10.40.0.%d free: %v", i, got)
		}
	}
	if net.Broadcast().String() != "10.40.0.255" {
		t.Errorf("broadcast address %s", net.Broadcast())
	}
}

func BenchmarkBuild10000(b *testing.B) {
	f := room()
	f.Nodes = nil
	for i := range 10000 {
		f.Nodes = append(f.Nodes, &inventoryv1.Node{Id: fmt.Sprint(i), Name: fmt.Sprintf("node%05d", i), Mac: fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&255),
			Addresses: []*inventoryv1.NodeAddress{{Interface: "BOOTIF", NetworkId: "N1", Address: fmt.Sprintf("10.30.%d.%d", i/250, i%250+1)}}})
	}
	for b.Loop() {
		build(f)
	}
}
