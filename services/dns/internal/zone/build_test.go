package zone

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

var update = flag.Bool("update", false, "write golden files")

var minute = Times{TTL: 60, Negative: 10}

// room is a cluster with an IPv4, an IPv6 and a management network.
func room() Facts {
	return Facts{
		Revision: 42, Head: "head1",
		Cluster: &inventoryv1.Cluster{FrontendAddress: "10.30.255.254"},
		Networks: []*inventoryv1.Network{
			{Id: "N1", Name: "cluster", Cidr: "10.30.0.0/16",
				Include:    "printer IN A 10.30.9.9\n\tTXT \"second floor\"\nwww CNAME printer\nbad A 1.2.3\nother.example. A 10.0.0.1\n@ MX 10 printer\nsrv (\n  A\n  10.30.9.10 ) ; over lines",
				RevInclude: "9.9 PTR printer.cluster.\n1.2.3.4.in-addr.arpa. PTR nobody.\n"},
			{Id: "N2", Name: "six", Cidr: "fd00:30::/64"},
			{Id: "N3", Name: "ipmi.site", Cidr: "10.31.16.0/20", NsHostname: "ns1", NsIp: "10.31.31.254"},
		},
		Groups: map[string]*inventoryv1.Group{"G1": {Id: "G1", Name: "compute"}, "G2": {Id: "G2", Name: "gpu", Domain: "gpu.example"}},
		Nodes: []*inventoryv1.Node{
			{Id: "1", Name: "node001", GroupId: "G1", Addresses: []*inventoryv1.NodeAddress{
				{Interface: "BOOTIF", NetworkId: "N1", Address: "10.30.0.1"}, {Interface: "BOOTIF", NetworkId: "N2", Address: "fd00:30::1"},
				{Interface: "BMC", NetworkId: "N3", Address: "10.31.17.1"}, {Interface: "eth1.100", NetworkId: "N3", Address: "10.31.18.1"}}},
			{Id: "2", Name: "node002", GroupId: "G2", Addresses: []*inventoryv1.NodeAddress{{Interface: "BOOTIF", NetworkId: "N1", Address: "10.30.0.2"}}},
		},
		Others: []Other{{Name: "switch01", NetworkID: "N3", Address: "10.31.31.1"}},
	}
}

func TestZonesOfARoom(t *testing.T) {
	var log bytes.Buffer
	set := Build(room(), minute, slog.New(slog.NewTextHandler(&log, nil)))
	var got strings.Builder
	for _, o := range set.Origins() {
		text := set.Zone(o).String()
		if strings.Count(text, "\n") > 2 {
			fmt.Fprintf(&got, "; %s\n%s", o, text)
		}
		checkZone(t, o, text)
	}
	golden := filepath.Join("testdata", "room.zones")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Error(d)
	}
	for _, line := range []string{"field=include line=4", "field=include line=5", "field=rev_include line=2"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("nothing was logged of %s:\n%s", line, log.String())
		}
	}
	if n := strings.Count(log.String(), "refused"); n != 3 {
		t.Errorf("%d lines refused, not 3:\n%s", n, log.String())
	}
}

// checkZone asks BIND whether a zone can be loaded.
func checkZone(t *testing.T, origin, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("named-checkzone", "-k", "fail", "-i", "local-sibling", "-W", "ignore", origin, file).CombinedOutput()
	if err != nil {
		t.Errorf("named-checkzone %s: %v\n%s\n%s", origin, err, out, text)
	}
}

func TestReverseZones(t *testing.T) {
	for _, c := range []struct {
		cidr        string
		n           int
		first, last string
	}{
		{"10.30.0.0/16", 1, "30.10.in-addr.arpa.", "30.10.in-addr.arpa."},
		{"10.0.0.0/8", 1, "10.in-addr.arpa.", "10.in-addr.arpa."},
		{"192.168.16.0/20", 16, "16.168.192.in-addr.arpa.", "31.168.192.in-addr.arpa."},
		{"172.16.0.0/12", 16, "16.172.in-addr.arpa.", "31.172.in-addr.arpa."},
		{"10.1.2.128/26", 1, "2.1.10.in-addr.arpa.", "2.1.10.in-addr.arpa."},
		{"0.0.0.0/0", 256, "0.in-addr.arpa.", "255.in-addr.arpa."},
		{"fd00:30::/64", 1, "0.0.0.0.0.0.0.0.0.3.0.0.0.0.d.f.ip6.arpa.", "0.0.0.0.0.0.0.0.0.3.0.0.0.0.d.f.ip6.arpa."},
		{"fd00::10/126", 1, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", ""},
		{"fd00:0:0:4::/62", 4, "4.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", "7.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa."},
	} {
		got := Reverse(prefix(t, c.cidr))
		if c.last == "" {
			c.last = got[0]
		}
		if len(got) != c.n || got[0] != c.first || got[len(got)-1] != c.last {
			t.Errorf("%s: %d zones, %s to %s", c.cidr, len(got), got[0], got[len(got)-1])
		}
	}
}

func TestNothingBeforeInit(t *testing.T) {
	f := room()
	f.Cluster = nil
	if o := Build(f, minute, slog.New(slog.DiscardHandler)).Origins(); len(o) != 0 {
		t.Errorf("zones %v", o)
	}
}

func TestHeadIsFoundWhereNodesLook(t *testing.T) {
	set := Build(room(), minute, slog.New(slog.DiscardHandler))
	for _, name := range []string{"head1.cluster.", "head.cluster.", "head.gpu.example.", "ns1.ipmi.site."} {
		if !set.Find(name).has(name) {
			t.Errorf("%s is not there", name)
		}
	}
	if !slices.Contains(set.Origins(), "gpu.example.") || set.Find("head.six.").has("head.six.") {
		t.Error("the head is where it has no address, or the group's domain is missing")
	}
}

func BenchmarkBuild10000(b *testing.B) {
	f := big(10000)
	for b.Loop() {
		Build(f, minute, slog.New(slog.DiscardHandler))
	}
}

func big(n int) Facts {
	f := room()
	f.Nodes = nil
	for i := range n {
		f.Nodes = append(f.Nodes, &inventoryv1.Node{Id: fmt.Sprint(i), Name: fmt.Sprintf("node%05d", i), GroupId: "G1",
			Addresses: []*inventoryv1.NodeAddress{{Interface: "BOOTIF", NetworkId: "N1", Address: fmt.Sprintf("10.30.%d.%d", i/250, i%250+1)}}})
	}
	return f
}

// TestTextThatGivesTooMuch writes more records than a head has memory for.
func TestTextThatGivesTooMuch(t *testing.T) {
	facts := room()
	facts.Networks[0].Include = "empty A\n"
	for i := range 12000 {
		facts.Networks[0].Include += fmt.Sprintf("$GENERATE 1-65535 n%d-$ A 10.30.0.1\n", i)
	}
	var log bytes.Buffer
	z := Build(facts, minute, slog.New(slog.NewTextHandler(&log, nil))).Zone("cluster.")
	n := len(z.names)
	if n < 65535 || n > maxRecords+100 || len(z.names["n0-65535.cluster."]) != 1 || len(z.names["empty.cluster."]) > 0 {
		t.Errorf("%d names", n)
	}
	for _, want := range []string{"the text gives more than 70000 records", "empty.cluster. has no data"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}
