package transfer

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/network"
)

// write puts what differs into the draft.
func (p *plan) write() error {
	counts := map[string]map[catalog.Noun]int{"added": {}, "changed": {}, "deleted": {}}
	for _, o := range p.objects {
		switch {
		case o.old == nil:
			counts["added"][o.noun]++
		case !proto.Equal(o.old, o.now):
			counts["changed"][o.noun]++
		default:
			continue
		}
		p.draft.Put(idOf(o.now), o.now)
	}
	slices.SortFunc(p.gone, func(a, b *object) int {
		return strings.Compare(string(a.noun)+a.name, string(b.noun)+b.name)
	})
	for _, o := range p.gone {
		counts["deleted"][o.noun]++
		p.draft.Delete(o.noun, idOf(o.old), o.name)
	}
	if err := p.rest(); err != nil {
		return err
	}
	if text := summary(counts); text != "" {
		p.draft.Note("%s", text)
	}
	for _, n := range p.notes {
		p.draft.Note("%s", n)
	}
	return nil
}

// summary tells how many objects of each noun were added, changed and deleted.
func summary(counts map[string]map[catalog.Noun]int) string {
	var all []string
	for _, what := range []string{"added", "changed", "deleted"} {
		var parts []string
		for _, noun := range append([]catalog.Noun{catalog.Cluster}, nouns...) {
			n := counts[what][noun]
			switch {
			case n == 1:
				parts = append(parts, fmt.Sprintf("1 %s", noun))
			case n > 1 && noun == catalog.Switch:
				parts = append(parts, fmt.Sprintf("%d switches", n))
			case n > 1:
				parts = append(parts, fmt.Sprintf("%d %ss", n, noun))
			}
		}
		if len(parts) > 0 {
			all = append(all, what+" "+strings.Join(parts, ", "))
		}
	}
	return strings.Join(all, "; ")
}

// rest lets the addresses rest that are given up, and wakes those that are taken.
func (p *plan) rest() error {
	before, after := map[address.Holding]*object{}, map[address.Holding]bool{}
	var order []address.Holding
	lost := map[string]bool{}
	for _, o := range append(slices.Clone(p.objects), p.gone...) {
		if _, isNetwork := o.old.(*inventoryv1.Network); isNetwork && o.now == nil {
			lost[idOf(o.old)] = true
			if err := network.DropRests(p.draft, idOf(o.old)); err != nil {
				return err
			}
		}
		for _, h := range address.Held(o.old) {
			before[h] = o
			order = append(order, h)
		}
		for _, h := range address.Held(o.now) {
			after[h] = true
			if err := p.wake(o, h); err != nil {
				return err
			}
		}
	}
	for _, h := range order {
		if o := before[h]; !after[h] && !lost[h.NetworkID] {
			mac := ""
			if n, ok := o.old.(*inventoryv1.Node); ok {
				mac = n.Mac
			}
			address.Rest(p.draft, h.NetworkID, h.Address, string(o.noun)+" "+o.name, mac)
		}
	}
	return nil
}

// wake ends the rest of an address that an object takes.
func (p *plan) wake(o *object, h address.Holding) error {
	if has(o, h) {
		return nil
	}
	id := change.RestID(h.NetworkID, h.Address)
	old, err := p.was(catalog.Rest, id)
	if err == nil && old != nil {
		p.draft.Delete(catalog.Rest, id, "")
	}
	return err
}
