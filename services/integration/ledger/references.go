package ledger

import (
	"fmt"
	"maps"
	"slices"
)

// checkReferences wants that nothing refers to what is gone, and that nodes have the addresses of their group.
func (b *book) checkReferences() {
	for _, id := range b.ids("group") {
		g := b.objects["group"][id]
		b.refer("group "+g.Name, "osimage", g.OsimageID)
		for _, i := range g.Interfaces {
			for _, n := range i.NetworkIDs {
				b.refer("group "+g.Name, "network", n)
			}
		}
	}
	for _, id := range b.ids("node") {
		n := b.objects["node"][id]
		if b.refer("node "+n.Name, "group", n.GroupID); n.GroupID != "" {
			b.compareAddresses(n)
		}
	}
}

// refer wants that an object is there that another one names; "" names none.
func (b *book) refer(who, noun, id string) {
	if _, there := b.objects[noun][id]; id != "" && !there {
		b.fault(Referred, "%s names %s %s", who, noun, id)
	}
}

// compareAddresses wants that a node has one address for each network of each interface of its group.
func (b *book) compareAddresses(n object) {
	want, has := map[string]int{}, map[string]int{}
	for _, i := range b.objects["group"][n.GroupID].Interfaces {
		for _, network := range i.NetworkIDs {
			want[i.Name+" in "+network]++
		}
	}
	for _, a := range n.Addresses {
		has[a.Interface+" in "+a.NetworkID]++
	}
	if !maps.Equal(want, has) {
		b.fault(Complete, "node %s has addresses of %q, its group of %q", n.Name, named(has), named(want))
	}
}

// named writes counted words in order.
func named(counts map[string]int) (all []string) {
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%d %s", counts[word], word))
	}
	return all
}
