package transfer_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/inventory/internal/transfer"
)

// words are what a careless writer of YAML gets wrong.
var words = rapid.OneOf(
	rapid.SampledFrom([]string{"", "yes", "null", "~", "1e3", "0x10", "***", "- a", "a: b", "#!/bin/sh\necho 'x' \"$y\"\n", " lead\n\ttab \n\n", "end\n\n", "\n", "\n\n x", "no end\nof it", "%a", "é\u2028ü", "---\n", "a #b", "<<", "|", "\ttab", "x \n"}),
	rapid.StringOfN(rapid.SampledFrom([]rune("ab:#-'\"\n\t {}[]&*!|>%@`,?\u00a0é\\$")), 0, 30, -1))

func line(t *rapid.T, label string) string {
	return strings.NewReplacer("\n", "", "\t", "", "\u2028", "", "\u00a0", "", "$", "").Replace(words.Draw(t, label))
}

// options draws kernel options: a line in which iPXE sees nothing but words.
func options(t *rapid.T) string {
	return strings.NewReplacer("#", "", "&", "", "|", "", "é", "", "ü", "").Replace(line(t, "kernopts"))
}

// versions are those of kernels that YAML takes for numbers.
var versions = rapid.SampledFrom([]string{"6.1", "6.10", "1e3", "0x10", "5", "6.1.0-1-amd64", "6.1+deb12~rc1", "no", "1_000"})

// anInventory draws a blueprint that holds together.
func anInventory(t *rapid.T) *blueprint.Blueprint {
	b := &blueprint.Blueprint{Cluster: &blueprint.Cluster{FrontendAddress: "10.30.255.254", Comment: words.Draw(t, "comment"), MenuWait: rapid.Ptr(rapid.Uint32Range(0, 60), true).Draw(t, "menu")}}
	if rapid.Bool().Draw(t, "heads") {
		b.Cluster.ClusterIps = []string{"10.30.255.252", "10.30.255.253"}
	}
	place := func(name string) blueprint.Place { return blueprint.Place{Name: name} }
	text := func() *string { return rapid.Ptr(words, true).Draw(t, "text") }
	b.Networks = []blueprint.Network{
		{Place: place("cluster"), Network: "10.30.0.0/16", Gateway: "10.30.255.254", Nameservers: []string{"10.30.255.254", "9.9.9.9"}, Mtu: 9000, Reserved: []string{"10.30.0.2"},
			DhcpRange: &blueprint.Range{Start: "10.30.128.1", End: "10.30.129.1"}, Include: words.Draw(t, "include"), RevInclude: words.Draw(t, "rev")},
		{Place: place("123"), Network: "10.31.0.0/16"}, {Place: place("six"), Network: "fd00:1::/64", Comment: words.Draw(t, "comment")}}
	b.Osimages = []blueprint.Osimage{{Place: place("on"), Path: "/a", Head: "head", Kernver: versions.Draw(t, "kernver"), Kernopts: options(t), GrabExcludeList: words.Draw(t, "grab")},
		{Place: place("2.0"), Path: "/b", Kernver: "5", Dracutmodules: new(string), Kernmodules: new(string)}}
	b.Bmcsetups = []blueprint.Bmcsetup{{Place: place("null"), Comment: words.Draw(t, "comment"), Required: rapid.Bool().Draw(t, "required")}}
	b.Switches = []blueprint.Switch{{Place: place("sw"), Network: "123", IP: "10.31.1.1", Read: rapid.SampledFrom([]string{"", "public"}).Draw(t, "read"), Uplinks: []string{"1", "Gi0/1"}}}
	b.Otherdevs = []blueprint.Otherdev{{Place: place("pdu"), Addresses: map[string]string{"cluster": "", "123": "10.31.1.2"}, Comment: words.Draw(t, "comment")}, {Place: place("nowhere")}}
	cards := []blueprint.Interface{{Name: "BOOTIF", Networks: rapid.Permutation([]string{"cluster", "six"}).Draw(t, "networks")}, {Name: "BMC", Networks: []string{"123"}},
		{Name: "bond0", Bond: &blueprint.Bond{Members: []string{"eth1", "eth2"}}, Options: words.Draw(t, "options")}, {Name: "v7", Vlan: &blueprint.Vlan{Parent: "bond0", Tag: 7}, Mtu: 1400},
		{Name: "br0", Bridge: &blueprint.Bridge{Ports: []string{"v7"}, Stp: rapid.Bool().Draw(t, "stp")}}}
	few := rapid.Permutation(cards[:rapid.IntRange(0, 2).Draw(t, "cards")]).Draw(t, "order")
	b.Groups = []blueprint.Group{{Place: place("all"), Osimage: "on", Bmcsetup: "null", Interfaces: &cards, Prescript: words.Draw(t, "pre"), Partscript: text(), Postscript: text()},
		{Place: place("false"), Interfaces: &few, Comment: words.Draw(t, "comment")}, {Place: place("plain")}}
	for i := range rapid.IntRange(0, 12).Draw(t, "nodes") {
		n := blueprint.Node{Place: place(fmt.Sprint("n", i*7%13)), Group: rapid.SampledFrom([]string{"all", "false", "plain"}).Draw(t, "group"), Comment: words.Draw(t, "comment"),
			Localboot: rapid.Bool().Draw(t, "local"), Setupbmc: rapid.Bool().Draw(t, "setup"), Service: rapid.Bool().Draw(t, "service"), Prescript: text(), Partscript: text(), Postscript: text()}
		mac := fmt.Sprintf("52:54:00:00:00:%02x", i)
		n.Mac = &mac // one that the text does not tell would be kept
		if rapid.Bool().Draw(t, "port") {
			n.Switch, n.Port = "sw", fmt.Sprint(i)
		}
		if n.Group == "all" && rapid.Bool().Draw(t, "address") {
			n.Addresses = map[string]blueprint.List{"BOOTIF": {fmt.Sprintf("10.30.0.%d", 3+i*5%17)}}
		}
		if rapid.Bool().Draw(t, "own") {
			image, opts := "2.0", options(t)
			n.Osimage, n.Kernopts = &image, &opts
		}
		b.Nodes = append(b.Nodes, n)
	}
	return b
}

// community is what a blank inventory cannot know.
var community = regexp.MustCompile(`    (read): '\*\*\*'\n`)

// TestThereAndBackAgain exports random inventories, imports them into nothing and
// exports them again; then over each other.
func TestThereAndBackAgain(t *testing.T) {
	var before string
	rapid.Check(t, func(rt *rapid.T) {
		b := anInventory(rt)
		typed, err := b.Encode()
		if err != nil {
			rt.Fatal(err)
		}
		if b, err = blueprint.Decode(typed); err != nil {
			rt.Fatalf("%v\n%s", err, typed)
		}
		if again, err := b.Encode(); err != nil || string(again) != string(typed) {
			rt.Fatalf("read and written again, %v:\n%s\nwas\n%s", err, again, typed)
		}
		first, second := newHouse(t), newHouse(t)
		load := func(h *house, text string, o transfer.Options) {
			if _, err := h.try(text, o); err != nil {
				rt.Fatalf("%v\n%s", err, text)
			}
		}
		load(first, string(typed), transfer.Options{})
		one := first.export()
		load(second, one, transfer.Options{})
		if two := second.export(); two != community.ReplaceAllString(one, "") {
			rt.Fatalf("exported\n%s\nthen\n%s", one, two)
		}
		d, err := first.try(one, transfer.Options{Prune: true})
		if err != nil || !d.Empty() {
			rt.Fatalf("the second time: %v, %v", err, d.Touched())
		}
		over(rt, first, before)
		over(rt, first, one)
		before = one
	})
}

// over imports a text over what is there: a conflict about addresses changes nothing.
func over(t *rapid.T, h *house, text string) {
	if text == "" {
		return
	}
	was := h.export()
	_, err := h.try(text, transfer.Options{Prune: true})
	switch {
	case fault.KindOf(err) == fault.Conflict && strings.Contains(err.Error(), "address"):
		text = was
	case err != nil:
		t.Fatalf("%v\n%s\nover\n%s", err, text, was)
	}
	if now := h.export(); community.ReplaceAllString(now, "") != community.ReplaceAllString(text, "") {
		t.Fatalf("it is\n%s\nand should be\n%s", now, text)
	}
}

// TestTenThousandNodes are added, found unchanged and deleted.
func TestTenThousandNodes(t *testing.T) {
	b, err := blueprint.Decode([]byte(room))
	if err != nil {
		t.Fatal(err)
	}
	b.Nodes = nil
	for i := range 10000 {
		mac := fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&0xff)
		n := blueprint.Node{Place: blueprint.Place{Name: fmt.Sprintf("node%05d", i)}, Group: "compute", Mac: &mac, Switch: "sw1", Port: fmt.Sprint(i)}
		if i%2 == 0 {
			n.Addresses = map[string]blueprint.List{"BOOTIF": {fmt.Sprintf("10.30.%d.%d", 1+i/250, 1+i%250)}}
		}
		b.Nodes = append(b.Nodes, n)
	}
	text, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	h.load(string(text), transfer.Options{})
	if got := h.addresses("node09998"); got[0] != "BOOTIF 10.30.40.249" {
		t.Errorf("%q", got)
	}
	was := h.export()
	if d := h.load(was, transfer.Options{Prune: true}); !d.Empty() {
		t.Errorf("changed %d objects", len(d.Touched()))
	}
	if d := h.load(room[:strings.Index(room, "nodes:")], transfer.Options{Prune: true}); d.Notes()[0] != "deleted 10000 nodes" {
		t.Errorf("%q", d.Notes())
	}
}
