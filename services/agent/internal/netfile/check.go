package netfile

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Bounds of what interfaces can have.
const (
	maxName = 15
	maxMTU  = 65536
	maxTag  = 4094
)

// bondModes are those of the kernel's bonding driver, in the order of their numbers.
var bondModes = []string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}

// check also brings the MAC into its usual form.
func (i *Interface) check() error {
	if !isName(i.Name) {
		return fmt.Errorf("%q is no name of an interface", i.Name)
	}
	if i.MAC == "" && i.Name == BootInterface {
		return errors.New("it needs a MAC address")
	}
	if i.MAC != "" {
		mac, err := net.ParseMAC(i.MAC)
		if err != nil {
			return fmt.Errorf("%q is no MAC address", i.MAC)
		}
		i.MAC = mac.String()
	}
	for _, a := range i.Addresses {
		if !a.IsValid() {
			return errors.New("an address is empty")
		}
	}
	if i.Gateway.Is6() || i.Gateway6.Is4() {
		return errors.New("gateway is the IPv4 one, gateway6 the IPv6 one")
	}
	if i.MTU < 0 || i.MTU > maxMTU {
		return fmt.Errorf("MTU %d", i.MTU)
	}
	return i.checkParts()
}

// checkParts looks at what the interface is made of.
func (i *Interface) checkParts() error {
	kinds := 0
	for _, is := range []bool{i.Bond != nil, i.VLAN != nil, i.Bridge != nil} {
		if is {
			kinds++
		}
	}
	if kinds > 1 || kinds == 1 && i.Name == BootInterface {
		return errors.New("it can be one of card, bond, VLAN and bridge, and BOOTIF is a card")
	}
	for _, name := range i.parts() {
		if !isName(name) || name == i.Name {
			return fmt.Errorf("%q is no name of an interface below it", name)
		}
	}
	switch {
	case i.Bond != nil && !slices.Contains(bondModes, i.Bond.Mode):
		return fmt.Errorf("bond mode %q is none of %s", i.Bond.Mode, strings.Join(bondModes, ", "))
	case i.Bond != nil && i.Bond.MIIMon < 0:
		return fmt.Errorf("miimon %d", i.Bond.MIIMon)
	case i.VLAN != nil && (i.VLAN.Tag < 1 || i.VLAN.Tag > maxTag):
		return fmt.Errorf("VLAN tag %d is not 1 to %d", i.VLAN.Tag, maxTag)
	}
	return nil
}

// parts names the interfaces that this one is made of.
func (i *Interface) parts() []string {
	switch {
	case i.Bond != nil:
		return i.Bond.Members
	case i.VLAN != nil:
		return []string{i.VLAN.Parent}
	case i.Bridge != nil:
		return i.Bridge.Ports
	}
	return nil
}

// clone returns a copy that shares nothing that is written to.
func (i Interface) clone() Interface {
	if i.Bond != nil {
		i.Bond = new(*i.Bond)
	}
	if i.VLAN != nil {
		i.VLAN = new(*i.VLAN)
	}
	if i.Bridge != nil {
		i.Bridge = new(*i.Bridge)
	}
	return i
}

func isName(s string) bool { return isWord(s) && len(s) <= maxName }

func isWord(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@"
	return s != "" && len(s) <= 253 && strings.Trim(s, letters) == "" && s != "." && s != ".."
}
