// Package netfile writes a node's network configuration in the form that the image's network manager reads.
package netfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// BootInterface is the name that stands for the card with the node's MAC.
const BootInterface = "BOOTIF"

// Network is what the head says about a node's network.
type Network struct {
	Interfaces []Interface  `json:"interfaces"`
	DNS        []netip.Addr `json:"dns"`
	// Search are the domains for short names.
	Search []string `json:"search"`
}

// Interface is one of the node's network interfaces: a card, unless it is a
// bond, a VLAN or a bridge.
type Interface struct {
	// Name is that of the installed system, or BootInterface.
	Name string `json:"name"`
	// MAC is known of BootInterface; that of other cards is found by the name.
	MAC       string         `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`
	// Gateway and Gateway6 are not valid where there is none of the family.
	Gateway  netip.Addr `json:"gateway"`
	Gateway6 netip.Addr `json:"gateway6"`
	// MTU in bytes; 0 leaves it as it is.
	MTU int `json:"mtu"`
	// Options are the operator's free text, in lines KEY=VALUE as in ifcfg files.
	Options string  `json:"options"`
	Bond    *Bond   `json:"bond"`
	VLAN    *VLAN   `json:"vlan"`
	Bridge  *Bridge `json:"bridge"`
}

// Bond joins cards into one interface.
type Bond struct {
	// Members are interfaces, or cards as the installed system names them.
	Members []string `json:"members"`
	// Mode is a name of the kernel's bonding driver.
	Mode string `json:"mode"`
	// MIIMon is the time between looks at the links in milliseconds; 0 is the driver's own.
	MIIMon int `json:"miimon"`
}

// VLAN is one VLAN of another interface, IEEE 802.1Q.
type VLAN struct {
	Parent string `json:"parent"`
	Tag    int    `json:"tag"`
}

// Bridge joins its ports.
type Bridge struct {
	Ports []string `json:"ports"`
	// STP tells whether it speaks the spanning tree protocol.
	STP bool `json:"stp"`
}

// Parse reads a Network strictly and checks it.
func Parse(r io.Reader) (Network, error) {
	var n Network
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&n); err != nil {
		return Network{}, fmt.Errorf("read the node's network: %w", err)
	}
	for i := range n.Interfaces {
		if err := n.Interfaces[i].check(); err != nil {
			return Network{}, fmt.Errorf("the node's network: interface %s: %w", n.Interfaces[i].Name, err)
		}
	}
	for _, a := range n.DNS {
		if !a.IsValid() {
			return Network{}, errors.New("the node's network: a name server has no address")
		}
	}
	for _, domain := range n.Search {
		if !isWord(domain) {
			return Network{}, fmt.Errorf("the node's network: %q is no domain", domain)
		}
	}
	return n, nil
}

// family returns the interface's addresses and gateway of one family as text.
func (i Interface) family(v6 bool) (addresses []string, gateway string) {
	for _, a := range i.Addresses {
		if a.Addr().Is6() == v6 {
			addresses = append(addresses, a.String())
		}
	}
	for _, g := range i.gateways() {
		if g.Is6() == v6 {
			gateway = g.String()
		}
	}
	return addresses, gateway
}

// gateways returns those that there are, IPv4 first.
func (i Interface) gateways() []netip.Addr {
	var out []netip.Addr
	for _, g := range []netip.Addr{i.Gateway, i.Gateway6} {
		if g.IsValid() {
			out = append(out, g)
		}
	}
	return out
}

// servers returns the name servers of one family.
func (n Network) servers(v6 bool) []string {
	var out []string
	for _, a := range n.DNS {
		if a.Is6() == v6 {
			out = append(out, a.String())
		}
	}
	return out
}

// words joins addresses with spaces.
func words(addrs []netip.Addr) string { return strings.Join(texts(addrs), " ") }

func texts[T fmt.Stringer](all []T) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}
