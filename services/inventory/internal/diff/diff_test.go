package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/diff"
)

func names(id string) string { return map[string]string{"N1": "cluster", "O1": "compute"}[id] }

// told writes fields as - or text on both sides of an arrow.
func told(all []*inventoryv1.FieldDiff) (lines []string) {
	side := func(s *string) string {
		if s == nil {
			return "-"
		}
		return fmt.Sprintf("%q", *s)
	}
	for _, f := range all {
		lines = append(lines, f.Field+": "+side(f.Before)+" -> "+side(f.After))
	}
	return lines
}

func TestFieldsAreToldAsPeopleKnowThem(t *testing.T) {
	group := &inventoryv1.Group{Id: "G1", Name: "compute", OsimageId: "O1", Interfaces: []*inventoryv1.Interface{
		{Name: "BOOTIF", NetworkIds: []string{"N1"}},
		{Name: "eth1.7", Mtu: 9000, MadeOf: &inventoryv1.Interface_Vlan{Vlan: &inventoryv1.Vlan{Parent: "eth1", Tag: 7}}}}}
	other := proto.CloneOf(group)
	other.OsimageId, other.Interfaces[1].GetVlan().Tag = "", 8
	other.Interfaces = slices.Delete(other.Interfaces, 0, 1)
	for _, c := range []struct {
		what          string
		before, after proto.Message
		want          []string
	}{
		{"nothing", group, group, nil},
		{"parts and references", group, other, []string{`interfaces[BOOTIF]: "networks cluster" -> -`,
			`interfaces[eth1.7]: "mtu 9000, vlan parent eth1, tag 7" -> "mtu 9000, vlan parent eth1, tag 8"`, `osimage: "compute" -> -`}},
		{"added", nil, &inventoryv1.Node{Id: "X", Name: "node001", Service: true}, []string{`name: - -> "node001"`, `service: - -> "yes"`}},
		{"switched", &inventoryv1.Node{Id: "X", Service: true}, &inventoryv1.Node{Id: "X", Localboot: true}, []string{`localboot: "no" -> "yes"`, `service: "yes" -> "no"`}},
		{"unset is not empty", &inventoryv1.Node{}, &inventoryv1.Node{Kernopts: proto.String("")}, []string{`kernopts: - -> ""`}},
		{"secrets", &inventoryv1.Bmcsetup{PasswordId: "S1"}, &inventoryv1.Bmcsetup{PasswordId: "S2"}, []string{`password: "***" -> "***"`}},
		{"addresses", &inventoryv1.Node{Addresses: []*inventoryv1.NodeAddress{{Interface: "BMC", NetworkId: "N1", Address: "10.30.0.1"}}}, &inventoryv1.Node{},
			[]string{`addresses[BMC cluster]: "10.30.0.1" -> -`}},
	} {
		if got := told(diff.Fields(c.before, c.after, names)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.what, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestLongTextsAreCut(t *testing.T) {
	all := diff.Fields(nil, &inventoryv1.Group{Postscript: strings.Repeat("é", 100<<10)}, names)
	if len(all) != 1 || len(all[0].GetAfter()) > 20<<10 || !strings.HasSuffix(all[0].GetAfter(), "bytes more") {
		t.Errorf("%d fields, %d bytes", len(all), len(all[0].GetAfter()))
	}
}
