package netfile

import (
	"fmt"
	"slices"
	"strings"
)

// Cards finds the machine's network cards under the names that udev has given
// them, which the installed system uses too.
type Cards interface {
	// Name returns the name of the card with a MAC.
	Name(mac string) (string, error)
	// MAC returns the permanent MAC of the card with a name, "" when there is no such card.
	MAC(name string) (string, error)
}

// link is an interface as the writers need it: its options are understood, and
// what it is made of is found.
type link struct {
	Interface
	settings
	// device is its name in the installed system; unnamed says why it has none.
	device  string
	unnamed error
	// master is the bond or bridge that it is a part of; below are its own parts.
	master *link
	below  []*link
}

// layout finds how the node's interfaces stand on each other.
type layout struct {
	cards  Cards
	all    []*link
	byName map[string]*link
}

// links returns the interfaces, each after those that it is made of. A card
// that only a bond, a bridge or a VLAN names is added.
func (n Network) links(m manager, cards Cards) ([]*link, error) {
	y := &layout{cards: cards, byName: map[string]*link{}}
	for _, i := range n.Interfaces {
		l := &link{Interface: i.clone()}
		if err := l.translate(m); err != nil {
			return nil, fmt.Errorf("interface %s: %w", i.Name, err)
		}
		if err := y.add(l); err != nil {
			return nil, err
		}
	}
	for _, l := range slices.Clone(y.all) {
		if err := y.join(l, m.verbatim); err != nil {
			return nil, fmt.Errorf("interface %s: %w", l.Name, err)
		}
	}
	ordered, err := y.ordered()
	if err != nil {
		return nil, err
	}
	for _, l := range ordered {
		if err := l.inherit(m); err != nil {
			return nil, err
		}
	}
	stretch(ordered)
	return ordered, nil
}

// add takes an interface in and finds its card.
func (y *layout) add(l *link) error {
	l.device = l.Name
	if l.isCard() {
		if err := y.find(l); err != nil {
			return err
		}
	}
	for _, other := range y.all {
		if other.Name == l.Name || other.device == l.device && l.device != "" || l.MAC != "" && other.MAC == l.MAC {
			return fmt.Errorf("interfaces %s and %s are both %s", other.Name, l.Name, l.device)
		}
	}
	y.all, y.byName[l.Name] = append(y.all, l), l
	return nil
}

// find fills in the card's name or its MAC.
func (y *layout) find(l *link) (err error) {
	if l.MAC != "" {
		l.device, l.unnamed = y.cards.Name(l.MAC)
		return nil
	}
	if l.MAC, err = y.cards.MAC(l.Name); err != nil {
		return fmt.Errorf("interface %s: %w", l.Name, err)
	}
	return nil
}

// get returns the interface with a name. A name that is no interface of the
// node's is that of a card, which may be BootInterface's.
func (y *layout) get(name string) (*link, error) {
	if l := y.byName[name]; l != nil {
		return l, nil
	}
	if name == BootInterface {
		return nil, fmt.Errorf("the node has no %s", BootInterface)
	}
	if boot := y.byName[BootInterface]; boot != nil && boot.device == name {
		return boot, nil
	}
	l := &link{Interface: Interface{Name: name}}
	return l, y.add(l)
}

// join connects an interface with those that it is made of, and with the bond
// or the bridge that its options name. With others, that one may be the image's own.
func (y *layout) join(l *link, others bool) error {
	for _, name := range l.parts() {
		part, err := y.get(name)
		if err != nil {
			return err
		}
		if l.VLAN != nil {
			l.below = append(l.below, part)
		} else if err := l.take(part); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		name, option string
		is           func(*link) bool
	}{
		{l.masterBond, "MASTER", func(m *link) bool { return m.Bond != nil }},
		{l.masterBridge, "BRIDGE", func(m *link) bool { return m.Bridge != nil }},
	} {
		master := y.byName[m.name]
		switch {
		case m.name == "" || master == nil && others:
			continue
		case master == nil || !m.is(master):
			return fmt.Errorf("option %s=%s names no such interface of the group", m.option, m.name)
		}
		if err := master.take(l); err != nil {
			return err
		}
	}
	return nil
}

// take makes an interface a part of a bond or a bridge.
func (l *link) take(part *link) error {
	if part.master != nil && part.master != l {
		return fmt.Errorf("%s is a part of %s and of %s", part.Name, part.master.Name, l.Name)
	}
	if part.master == nil {
		part.master, l.below = l, append(l.below, part)
	}
	return nil
}

// ordered returns the interfaces, each after those that it is made of.
func (y *layout) ordered() ([]*link, error) {
	var out []*link
	state := map[*link]int{}
	var visit func(l *link) error
	visit = func(l *link) error {
		switch state[l] {
		case 1:
			return fmt.Errorf("interface %s is made of itself", l.Name)
		case 2:
			return nil
		}
		state[l] = 1
		for _, part := range l.below {
			if err := visit(part); err != nil {
				return err
			}
		}
		state[l], out = 2, append(out, l)
		return nil
	}
	for _, l := range y.all {
		if err := visit(l); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *link) isCard() bool { return l.Bond == nil && l.VLAN == nil && l.Bridge == nil }

// isInfiniband tells whether a card speaks IP over InfiniBand: by its options,
// the length of its address, or the name that udev gives to such cards.
func (l *link) isInfiniband() bool {
	return l.isCard() && (l.infiniband || len(l.MAC) > len("00:00:00:00:00:00") || l.MAC == "" && strings.HasPrefix(l.Name, "ib"))
}

// byMAC tells whether the card can be known by its MAC. The address of an
// InfiniBand interface can be another after each start: only its end stays.
func (l *link) byMAC() bool { return l.isCard() && l.MAC != "" && !l.isInfiniband() }

// vlans returns those that stand on l.
func vlans(all []*link, l *link) []*link {
	return slices.DeleteFunc(slices.Clone(all), func(v *link) bool { return v.VLAN == nil || v.below[0] != l })
}
