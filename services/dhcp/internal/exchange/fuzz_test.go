package exchange

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// FuzzOptions gives a node and its network any names that the inventory takes:
// what a machine reads out of the answer must be these names, and nothing beside them.
func FuzzOptions(f *testing.F) {
	label := strings.Repeat("a", 63)
	domain := strings.Repeat(label+".", 3) + "aaaaaaaa"
	for _, s := range [][3]string{{"node001", "gpu.example", "cluster"}, {label, domain, domain}, {"a", "a", "b"}, {"a", "", "b.c"}, {"1", "10.in-addr.arpa", "2"},
		{"$(reboot)", "a;b", "a\nb"}, {"node001", "gpu.example\x00evil", "c"}, {"node001", "a..b", "."}, {strings.Repeat("n", 300), "x", "y"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, name, domain, network string) {
		if inventoryv1.CheckHostName(name) != nil || domain != "" && inventoryv1.CheckDomain(domain) != nil || inventoryv1.CheckDomain(network) != nil {
			return // the inventory does not take it
		}
		in := facts()
		in.Networks[0].Name, in.Groups["G1"].Domain, in.Nodes[0].Name = network, domain, name
		r := start(t, in).discover(nodeMAC, everything)
		if r == nil {
			t.Fatal("no answer")
		}
		want := network
		if domain != "" {
			want = domain
		}
		if r.HostName() != name || r.DomainName() != want {
			t.Errorf("the machine is %q in %q, not %q in %q", r.HostName(), r.DomainName(), name, want)
		}
		search := slices.Compact([]string{want, network})
		if got := r.DomainSearch(); got == nil || !slices.Equal(got.Labels, search) {
			t.Errorf("it searches %v, not %v", got, search)
		}
		if !r.YourIPAddr.Equal(net.IPv4(10, 30, 0, 1)) || !slices.EqualFunc(r.Router(), []net.IP{net.IPv4(10, 30, 255, 1)}, net.IP.Equal) {
			t.Errorf("%s", r.Summary())
		}
		if strings.ContainsAny(dhcpv4.GetString(dhcpv4.OptionBootfileName, r.Options), " \n$;`") {
			t.Errorf("boot file %q", r.BootFileNameOption())
		}
	})
}
