// Package netfile writes a node's network configuration in the form that the image's network manager reads.
package netfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
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

// Interface is one of the node's cards.
type Interface struct {
	// Name is the kernel's name, or BootInterface.
	Name string `json:"name"`
	// MAC names the card where it is known; else the name does.
	MAC       string         `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`
	// Gateway is not valid when there is none.
	Gateway netip.Addr `json:"gateway"`
	// MTU in bytes; 0 leaves the card's own.
	MTU int `json:"mtu"`
	// Options are the operator's free text, in lines KEY=VALUE as in ifcfg files.
	Options string `json:"options"`
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

// check also brings the MAC into its usual form.
func (i *Interface) check() error {
	if !isWord(i.Name) || len(i.Name) > 15 {
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
	if i.MTU < 0 || i.MTU > 65536 {
		return fmt.Errorf("MTU %d", i.MTU)
	}
	return nil
}

func isWord(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@"
	return s != "" && len(s) <= 253 && strings.Trim(s, letters) == "" && s != "." && s != ".."
}

// family returns the interface's addresses of one family and, where the
// gateway is of it too, the gateway as text.
func (i Interface) family(v6 bool) (addresses []string, gateway string) {
	for _, a := range i.Addresses {
		if a.Addr().Is6() == v6 {
			addresses = append(addresses, a.String())
		}
	}
	if i.Gateway.IsValid() && i.Gateway.Is6() == v6 {
		gateway = i.Gateway.String()
	}
	return addresses, gateway
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
func words(addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}
