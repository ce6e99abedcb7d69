package group

import (
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// bondModes are those of the Linux bonding driver.
var bondModes = []string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}

// What a new bond has.
const (
	BondMode = "active-backup"
	// Miimon is how often a bond looks at its links, in milliseconds.
	Miimon = 100
	maxTag = 4094
)

// describes tells whether a request says what an interface is made of.
func describes(r *inventoryv1.GroupChangeRequest) bool {
	return r.Mtu != nil || r.Bond != nil || r.BondMode != nil || r.BondMiimon != nil ||
		r.Vlan != nil || r.VlanTag != nil || r.Bridge != nil || r.BridgeStp != nil
}

// describe sets what an interface is made of.
func describe(i *inventoryv1.Interface, r *inventoryv1.GroupChangeRequest) error {
	if !describes(r) {
		return nil
	}
	if r.Bond != nil || r.Vlan != nil || r.Bridge != nil {
		if err := isCard(i); err != nil {
			return err
		}
	}
	change.Set(&i.Mtu, r.Mtu)
	if err := plain(i, r); err != nil {
		return err
	}
	return parts(i, r)
}

// isCard refuses the names that stand for a card.
func isCard(i *inventoryv1.Interface) error {
	if i.Name == catalog.BootIf || i.Name == catalog.BMC {
		return fault.Invalidf("%s stands for a card: it can be a member of a bond or a bridge, not one itself", i.Name)
	}
	return nil
}

// plain makes an interface a card again, or another kind of interface.
func plain(i *inventoryv1.Interface, r *inventoryv1.GroupChangeRequest) error {
	kinds := 0
	for _, k := range []struct {
		text *string
		make func()
	}{
		{r.Bond, func() {
			if i.GetBond() == nil {
				i.MadeOf = &inventoryv1.Interface_Bond{Bond: &inventoryv1.Bond{Mode: BondMode, Miimon: Miimon}}
			}
			i.GetBond().Members = inventoryv1.Words(*r.Bond)
		}},
		{r.Vlan, func() {
			if i.GetVlan() == nil {
				i.MadeOf = &inventoryv1.Interface_Vlan{Vlan: &inventoryv1.Vlan{}}
			}
			i.GetVlan().Parent = *r.Vlan
		}},
		{r.Bridge, func() {
			if i.GetBridge() == nil {
				i.MadeOf = &inventoryv1.Interface_Bridge{Bridge: &inventoryv1.Bridge{}}
			}
			i.GetBridge().Ports = inventoryv1.Words(*r.Bridge)
		}},
	} {
		switch {
		case k.text == nil:
		case *k.text == "":
			i.MadeOf = nil
		default:
			kinds++
			k.make()
		}
	}
	if kinds > 1 {
		return fault.Invalidf("an interface is a bond, a VLAN or a bridge, not two of them")
	}
	return nil
}

// parts sets what only one kind of interface has.
func parts(i *inventoryv1.Interface, r *inventoryv1.GroupChangeRequest) error {
	if b := i.GetBond(); b != nil {
		change.Set(&b.Mode, r.BondMode)
		change.Set(&b.Miimon, r.BondMiimon)
	} else if r.BondMode != nil || r.BondMiimon != nil {
		return fault.Invalidf("interface %s is no bond: say its members with --bond", i.Name)
	}
	if v := i.GetVlan(); v != nil {
		change.Set(&v.Tag, r.VlanTag)
	} else if r.VlanTag != nil {
		return fault.Invalidf("interface %s is no VLAN: say the interface that it is on with --vlan", i.Name)
	}
	if b := i.GetBridge(); b != nil {
		change.Set(&b.Stp, r.BridgeStp)
	} else if r.BridgeStp != nil {
		return fault.Invalidf("interface %s is no bridge: say its ports with --bridge", i.Name)
	}
	return nil
}

// below names the interfaces that an interface is made of.
func below(i *inventoryv1.Interface) []string {
	switch {
	case i.GetBond() != nil:
		return i.GetBond().Members
	case i.GetVlan() != nil:
		return []string{i.GetVlan().Parent}
	case i.GetBridge() != nil:
		return i.GetBridge().Ports
	}
	return nil
}

// replace gives a part of an interface another name.
func replace(i *inventoryv1.Interface, old, name string) {
	swap := func(names []string) {
		for k := range names {
			if names[k] == old {
				names[k] = name
			}
		}
	}
	swap(i.GetBond().GetMembers())
	swap(i.GetBridge().GetPorts())
	if v := i.GetVlan(); v.GetParent() == old && v != nil {
		v.Parent = name
	}
}

// CheckInterfaces looks whether the interfaces of a group fit together. A card
// that only a bond or a bridge names need not be an interface of the group.
func CheckInterfaces(g *inventoryv1.Group) error {
	master, seen := map[string]string{}, map[string]bool{}
	for _, i := range g.Interfaces {
		if err := checkOne(i); err != nil {
			return err
		}
		if seen[i.Name] {
			return fault.Conflictf("group %s has an interface %s already", g.Name, i.Name)
		}
		seen[i.Name] = true
		for _, name := range below(i) {
			if err := inventoryv1.CheckInterface(name); err != nil {
				return fault.Invalidf("interface %s: %w", i.Name, err)
			}
			if name == catalog.BMC || name == i.Name {
				return fault.Invalidf("interface %s cannot be made of %s", i.Name, name)
			}
			if i.GetVlan() != nil {
				continue
			}
			if other := master[name]; other != "" {
				return fault.Conflictf("interface %s is a part of %s and of %s", name, other, i.Name)
			}
			master[name] = i.Name
		}
	}
	for _, i := range g.Interfaces {
		if m := master[i.Name]; m != "" && i.Name != catalog.BootIf && len(i.NetworkIds) > 0 {
			return fault.Conflictf("interface %s is a part of %s: give its network to %s", i.Name, m, m)
		}
	}
	return acyclic(g)
}

func checkOne(i *inventoryv1.Interface) error {
	if err := inventoryv1.CheckInterface(i.Name); err != nil {
		return fault.Invalidf("%w", err)
	}
	if err := inventoryv1.CheckText("options", i.Options); err != nil {
		return fault.Invalidf("%w", err)
	}
	if i.MadeOf != nil {
		if err := isCard(i); err != nil {
			return err
		}
	}
	if i.Mtu != 0 && (i.Mtu < 68 || i.Mtu > 65535) {
		return fault.Invalidf("interface %s: mtu must be 68 to 65535 bytes, not %d", i.Name, i.Mtu)
	}
	if b := i.GetBond(); b != nil {
		switch {
		case !slices.Contains(bondModes, b.Mode):
			return fault.Invalidf("interface %s: bond_mode must be one of %s, not %q", i.Name, strings.Join(bondModes, ", "), b.Mode)
		case b.Miimon > 60000:
			return fault.Invalidf("interface %s: bond_miimon must be at most 60000 milliseconds", i.Name)
		}
	}
	if v := i.GetVlan(); v != nil && (v.Tag < 1 || v.Tag > maxTag) {
		return fault.Invalidf("interface %s: vlan_tag must be 1 to %d, not %d", i.Name, maxTag, v.Tag)
	}
	return nil
}

// acyclic refuses interfaces that are made of each other.
func acyclic(g *inventoryv1.Group) error {
	under := map[string][]string{}
	for _, i := range g.Interfaces {
		under[i.Name] = below(i)
	}
	var walk func(name string, depth int) bool
	walk = func(name string, depth int) bool {
		return depth <= len(g.Interfaces) && !slices.ContainsFunc(under[name], func(n string) bool { return !walk(n, depth+1) })
	}
	for _, i := range g.Interfaces {
		if !walk(i.Name, 0) {
			return fault.Invalidf("interface %s is made of itself", i.Name)
		}
	}
	return nil
}
