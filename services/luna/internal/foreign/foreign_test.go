package foreign_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/luna/internal/foreign"
)

func take(t *testing.T, tool string, files ...foreign.File) *foreign.Taken {
	t.Helper()
	taken, err := foreign.Tools[tool](files)
	if err != nil {
		t.Fatal(err)
	}
	text, err := taken.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blueprint.Decode(text); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return taken
}

func file(name, text string) foreign.File { return foreign.File{Name: name, Text: []byte(text)} }

// TestLuna1SpellsNumbersInManyWays has the same address as mongoexport of several versions writes it.
func TestLuna1SpellsNumbersInManyWays(t *testing.T) {
	for _, number := range []string{"169738247", `{"$numberLong":"169738247"}`, `{"$numberInt":"169738247"}`, "1.69738247e8", "169738247.0", `"169738247"`, `"10.30.0.7"`, "7", `{"$numberLong":"7"}`} {
		taken := take(t, "luna1",
			file("dump/luna.network.json", `[{"_id":"a","name":"cluster","NETWORK":169738240,"PREFIX":16}]`),
			file("switch.json", `{"_id":{"$oid":"b"},"name":"s","network":{"$ref":"network","$id":"a"},"ip":`+number+`}`))
		if len(taken.Left) > 0 || taken.Switches[0].IP != "10.30.0.7" || taken.Switches[0].Network != "cluster" {
			t.Errorf("%s: %+v, left %q", number, taken.Switches, taken.Left)
		}
	}
	for _, number := range []string{"99999999999", "-1", "true", `"x"`, "[1]", "1.5", "169738239"} {
		taken := take(t, "luna1",
			file("network.json", `{"_id":"a","name":"cluster","NETWORK":169738240,"PREFIX":16}`),
			file("switch.json", `{"_id":"b","name":"s","network":{"$id":"a"},"ip":`+number+`}`))
		if len(taken.Left) != 1 || !strings.HasPrefix(taken.Left[0], "switch s: field ip is not taken over: ") || taken.Switches[0].IP != "" {
			t.Errorf("%s: %+v, left %q", number, taken.Switches, taken.Left)
		}
	}
}

func TestLuna1HasIPv6(t *testing.T) {
	taken := take(t, "luna1",
		file("network.json", `{"_id":"a","name":"six","NETWORK":"336294682933583715844663186250927177728","PREFIX":64,"version":6}`+"\n"+`{"_id":"b","name":"four","NETWORK":"10.30.0.0","PREFIX":"16"}`),
		file("group.json", `{"_id":"g","name":"compute","interfaces":{"BOOTIF":{"network":{"6":{"$id":"a"},"4":{"$id":"b"}}}}}`),
		file("node.json", `{"_id":"n","name":"n1","group":{"$id":"g"},"interfaces":{"BOOTIF":{"4":1,"6":"336294682933583715844663186250927177730"}}}`))
	got := strings.Join(taken.Nodes[0].Addresses["BOOTIF"], " ")
	if first := netip.MustParsePrefix(taken.Networks[0].Network).Addr().Next().Next(); got != "10.30.0.1 "+first.String() || len(taken.Left) > 0 {
		t.Errorf("%q, %+v, left %q", got, taken.Networks, taken.Left)
	}
}

func TestLuna1ReservesWhatIsNotFree(t *testing.T) {
	taken := take(t, "luna1",
		file("network.json", `{"_id":"a","name":"cluster","NETWORK":"10.30.0.0","PREFIX":28,"freelist":[{"start":8,"end":9},{"start":1,"end":2},{"start":11,"end":14}]}`),
		file("otherdev.json", `{"_id":"b","name":"pdu","connections":[{"network":{"$id":"a"},"ip":4}]}`),
		file("cluster.json", `{"_id":"c","name":"general","frontend_address":"10.30.0.10","dhcp_net":{"$id":"a"},"dhcp_range_start":5,"dhcp_range_end":6}`))
	if got := strings.Join(taken.Networks[0].Reserved, " "); got != "10.30.0.3 10.30.0.7" {
		t.Errorf("%q reserved", got)
	}
}

func TestWarewulfInherits(t *testing.T) {
	taken := take(t, "warewulf", file("nodes.conf", `
nodeprofiles:
  a: {image name: one, kernel: {args: [quiet, "x=1"]}, network devices: {net: {netmask: 255.255.255.0, primary: true, gateway: 10.0.0.1}}}
  b: {image name: two, network devices: {net: {hwaddr: "52:54:00:00:00:01"}}}
nodes:
  n1: {profiles: [a], network devices: {net: {ipaddr: 10.0.0.5}, eth1: {ipaddr: 10.9.0.5/16}}}
  n2: {profiles: [a, b], network devices: {net: {ipaddr: 10.0.0.6, hwaddr: "52:54:00:00:00:02"}}}
  n3: {profiles: [a], image name: three, network devices: {net: {ipaddr: 10.0.0.7, netmask: 255.0.255.0}}}
`))
	n := taken.Nodes
	if n[0].Group != "a" || *n[0].Kernopts != "quiet x=1" || n[0].Addresses["BOOTIF"][0] != "10.0.0.5" || n[0].Addresses["eth1"][0] != "10.9.0.5" {
		t.Errorf("%+v", n[0])
	}
	if n[1].Group != "b" || *n[1].Mac != "52:54:00:00:00:02" || n[2].Group != "a-three" || len(n[2].Addresses) != 0 {
		t.Errorf("%+v", n[1:])
	}
	if len(taken.Networks) != 2 || taken.Networks[1].Network != "10.0.0.0/24" || taken.Networks[1].Gateway != "10.0.0.1" {
		t.Errorf("%+v", taken.Networks)
	}
	if len(taken.Osimages) != 3 || !strings.Contains(strings.Join(taken.Left, "\n"), "node n3: network devices net ipaddr is not taken over") {
		t.Errorf("%+v, left %q", taken.Osimages, taken.Left)
	}
}

func TestXcatGroupsAndDisabledRows(t *testing.T) {
	taken := take(t, "xcat",
		file("nodelist.tab", "#node,groups,comments,disable\r\nn1,\"a,b\",,\r\nn2,,,\r\nn3,a,,1\r\n"),
		file("networks.csv", "#netname,net,mask\n\"one\",\"10.1.0.0\",\"/16\"\n\"two\",\"10.2.0.0\",\"255.255.0.0\"\n"),
		file("hosts.csv", "#node,ip\nn1,10.1.0.1|10.2.0.1\nn2,10.2.0.2\n"))
	if len(taken.Nodes) != 2 || taken.Nodes[0].Group != "a" || taken.Nodes[1].Group != "all" || taken.Nodes[1].Addresses["BOOTIF"][0] != "10.2.0.2" {
		t.Errorf("%+v", taken.Nodes)
	}
	left := strings.Join(taken.Left, "\n")
	for _, part := range []string{"node n1: nodelist.groups is not taken over", "node n1: hosts.ip is not taken over: 10.2.0.1 is a second address"} {
		if !strings.Contains(left, part) {
			t.Errorf("%q is not among\n%s", part, left)
		}
	}
}

// FuzzTools feeds anything to the readers: they refuse it, or make a text that can be read.
func FuzzTools(f *testing.F) {
	f.Add("luna1", "network.json", []byte(`{"_id":"a","name":"x","NETWORK":1,"PREFIX":8,"freelist":[{"start":1,"end":9}],"ns_ip":3}`))
	f.Add("luna1", "node.json", []byte(`{"_id":{"$oid":"a"},"group":{"$id":"a"},"interfaces":{"a":[]}}`))
	f.Add("luna1", "group.json", []byte(`{"interfaces":{"a":{"network":{"4":{"$id":{"$oid":"x"}}},"params":"x"}}}`))
	f.Add("warewulf", "nodes.conf", []byte("nodeprofiles: {a: {ipmi: {ipaddr: 1.2.3.4/8}}}\nnodes: {n: {profiles: [a], network devices: {x: {ipaddr: 1.2.3.4, netmask: 255.0.0.0}}}}"))
	f.Add("xcat", "nodelist.csv", []byte("#node,groups\n\"a\",\"b,c\"\n"))
	f.Fuzz(func(t *testing.T, tool, name string, text []byte) {
		read := foreign.Tools[tool]
		if read == nil {
			return
		}
		taken, err := read([]foreign.File{{Name: name, Text: text}})
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		if _, err := taken.Encode(); err != nil {
			t.Fatal(err)
		}
	})
}
