package blueprint_test

import (
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/fault"
)

const readable = `luna: 1
cluster:
  frontend_address: 10.30.255.254
networks:
  cluster:
    network: 10.30.0.0/16
    nameservers: [10.30.255.254]
groups:
  compute:
    interfaces:
    - name: BOOTIF
      networks: [cluster]
    partscript: |
      parted /dev/sda
      mkfs.ext4 /dev/sda1
nodes:
  n1:
    group: compute
    mac: "52:54:00:00:00:01"
    port: "1"
    addresses:
      BMC: 10.31.0.1
      BOOTIF:
      - 10.30.0.1
      - fd00::1
  n2:
    group: compute
`

func TestBlueprintIsReadable(t *testing.T) {
	part := "parted /dev/sda\nmkfs.ext4 /dev/sda1\n"
	mac := "52:54:00:00:00:01"
	b := &blueprint.Blueprint{
		Cluster:  &blueprint.Cluster{FrontendAddress: "10.30.255.254"},
		Networks: []blueprint.Network{{Place: blueprint.Place{Name: "cluster"}, Network: "10.30.0.0/16", Nameservers: []string{"10.30.255.254"}}},
		Groups: []blueprint.Group{{Place: blueprint.Place{Name: "compute"}, Partscript: &part,
			Interfaces: &[]blueprint.Interface{{Name: "BOOTIF", Networks: []string{"cluster"}}}}},
		Nodes: []blueprint.Node{{Place: blueprint.Place{Name: "n2"}, Group: "compute"},
			{Place: blueprint.Place{Name: "n1"}, Group: "compute", Mac: &mac, Port: "1", Addresses: map[string]blueprint.List{"BOOTIF": {"10.30.0.1", "fd00::1"}, "BMC": {"10.31.0.1"}}}},
	}
	text, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != readable {
		t.Errorf("got\n%s\nwant\n%s", text, readable)
	}
}

func TestMistakesHaveALine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "no documents",
		"words":                                 "line 1: the text must be fields with values",
		"luna: 2":                               "line 1: luna: the text is of form 2, and form 1 is read here",
		"luna: 1\nnoodles: {}":                  `line 2: "noodles" is none of luna, cluster, networks`,
		"nodes:\n  n1:\n    gruop: x":           `line 3: node n1 has no field "gruop"`,
		"nodes:\n  n1:\n    localboot: perhaps": "node n1: line 3: cannot construct",
		"nodes:\n  n1: []":                      "line 2: node n1 must be fields with values",
		"nodes:\n  n1: {}\n  n1: {}":            "twice",
		"switches:\n  s: {uplink: 1}":           `line 2: switch s has no field "uplink"`,
		"groups:\n  g:\n    interfaces:\n    - {nam: x}":                     `line 4: group g: interfaces has no field "nam"`,
		"groups:\n  g:\n    interfaces:\n    - {name: x, vlan: {tag: many}}": "line 4: cannot construct",
		"cluster:\n  nodedigits: -1":                                         "the cluster: line 2",
		"nodes:\n  ? [a]\n  : {}":                                            "a name must be a word",
		"nodes: {":                                                           "line",
		"luna: 1\n---\nluna: 1":                                              "multiple",
	} {
		_, err := blueprint.Decode([]byte(text))
		if fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestNamesAndTextsMayLookLikeNumbers(t *testing.T) {
	b, err := blueprint.Decode([]byte("nodes:\n  007: {group: 1.0, port: 12, mac: 525400000001, comment: yes}\n  x:\n  y: ~\n"))
	if err != nil {
		t.Fatal(err)
	}
	n := b.Nodes[0]
	if n.Name != "007" || n.Group != "1.0" || n.Port != "12" || n.Mac == nil || *n.Mac != "525400000001" || n.Comment != "yes" || len(b.Nodes) != 3 || b.Nodes[2].Line != 4 {
		t.Errorf("%+v", b.Nodes)
	}
}

// FuzzDecode reads anything: what can be read can be written and read again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"luna: 1\n", "nodes: {n1: {group: g, addresses: {BOOTIF: [a, b]}}}", "groups: {g: {interfaces: [{name: b, bond: {members: [x]}}], partscript: \"a\\nb\"}}",
		"nodes: &a\n  b: *a", "networks: {? : }", "cluster: {cluster_ips: [1, 2]}", "a: &x [*x]", "osimages: {<<: {a: {}}}", "nodes: {n: {comment: !!binary aGk=}}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := blueprint.Decode(text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		one, err := b.Encode()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := blueprint.Decode(one)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, one, err)
		}
		if two, err := again.Encode(); err != nil || string(two) != string(one) {
			t.Fatalf("%q, %v, became\n%s\nand\n%s", text, err, one, two)
		}
	})
}
