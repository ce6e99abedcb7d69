package catalog_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/testenv"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// TestLayerAnswersAsIfStored writes the same at random into one layer and into
// two that lie on each other, and compares every look-up.
func TestLayerAnswersAsIfStored(t *testing.T) {
	rnd := testenv.Rand(t)
	for range testenv.Times(t, 50) {
		flat := catalog.Over(catalog.View{})
		lower := catalog.Over(catalog.View{})
		upper := lower
		for step := range 60 {
			if step == 30 {
				upper = catalog.Over(lower.View)
			}
			id := fmt.Sprint("N", rnd.IntN(8))
			n := &inventoryv1.Node{Id: id, Name: "n" + id[1:], Mac: fmt.Sprintf("52:54:00:00:00:%02x", rnd.IntN(12)), SwitchId: "S", Port: fmt.Sprint(rnd.IntN(12)),
				Addresses: []*inventoryv1.NodeAddress{{Interface: catalog.BootIf, NetworkId: "W", Address: fmt.Sprintf("10.0.0.%d", rnd.IntN(12))}}}
			for _, l := range []*catalog.Layer{flat, upper} {
				var err error
				if rnd := step % 4; rnd == 3 {
					err = l.Delete(catalog.Node, id)
				} else {
					err = l.Put(id, n)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if a, b := answers(t, flat.View), answers(t, upper.View); !slices.Equal(a, b) {
				t.Fatalf("step %d: %q\nand %q", step, a, b)
			}
		}
	}
}

// answers lists what a view says of nodes.
func answers(t *testing.T, v catalog.View) (all []string) {
	t.Helper()
	say := func(what string, n *inventoryv1.Node, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(what, " ", n.GetId()))
	}
	for i := range 12 {
		n, err := v.NodeByMAC(fmt.Sprintf("52:54:00:00:00:%02x", i))
		say("mac", n, err)
		n, err = v.NodeByPort("S", fmt.Sprint(i))
		say("port", n, err)
		n, err = v.NodeNamed(fmt.Sprint("n", i))
		say("name", n, err)
	}
	for _, after := range []string{"", "N3", "n3"} {
		if err := v.Each(catalog.Node, after, func(o *inventoryv1.Object) bool { say("each", o.GetNode(), nil); return o.GetNode().Id < "N6" }); err != nil {
			t.Fatal(err)
		}
		if err := v.EachName(catalog.Node, after, func(name, id string) bool { all = append(all, name+id); return true }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
