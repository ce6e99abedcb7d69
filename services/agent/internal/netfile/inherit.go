package netfile

import "fmt"

// inherit gives a bond or a bridge the addresses, the gateways and the MTU that
// the boot card below it would have, and that card's MAC.
func (l *link) inherit(m manager) error {
	if l.VLAN != nil {
		return nil
	}
	for _, s := range l.bonding {
		if s.key == "primary" && l.primary() == nil && !m.verbatim {
			return fmt.Errorf("interface %s: option BONDING_OPTS: primary=%s is no member", l.Name, s.value)
		}
	}
	for _, part := range l.below {
		if !part.boots() {
			if len(part.Addresses) > 0 {
				return fmt.Errorf("interface %s is a part of %s: give its network to %s", part.Name, l.Name, l.Name)
			}
			continue
		}
		l.Addresses, part.Addresses = append(part.Addresses, l.Addresses...), nil
		for _, g := range part.gateways() {
			if g.Is4() {
				l.Gateway = g
			} else {
				l.Gateway6 = g
			}
		}
		part.Gateway, part.Gateway6 = none, none
		if l.MTU == 0 {
			l.MTU = part.MTU
		}
		if len(part.MAC) == len("00:00:00:00:00:00") {
			l.MAC = part.MAC
		}
		l.carriesBoot = true
	}
	return nil
}

// boots tells whether l is the boot card, or a bond or a bridge of it.
func (l *link) boots() bool { return l.Name == BootInterface || l.carriesBoot }

// stretch gives interfaces without an MTU that of the bond, the bridge or the
// largest VLAN on them, which could not have it otherwise.
func stretch(ordered []*link) {
	for n := len(ordered) - 1; n >= 0; n-- {
		for _, part := range ordered[n].below {
			if ordered[n].VLAN == nil && part.MTU == 0 || part.MTU < ordered[n].MTU && ordered[n].MTU > usualMTU {
				part.MTU = ordered[n].MTU
			}
		}
	}
}

// usualMTU is that of Ethernet cards which nobody has changed.
const usualMTU = 1500
