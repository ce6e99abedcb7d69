package netif

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Setting is what an interface gets.
type Setting struct {
	Address netip.Prefix
	// Gateway is not valid when there is none.
	Gateway netip.Addr
	DNS     []netip.Addr
	// Search is the domain for short names; it may be empty.
	Search string
	// MTU in bytes; 0 leaves the card's own.
	MTU int
}

// Apply makes the setting that of the interface, in place of any other.
func Apply(name string, s Setting) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	if err := flush(link); err != nil {
		return err
	}
	if s.MTU > 0 {
		if err := netlink.LinkSetMTU(link, s.MTU); err != nil {
			return fmt.Errorf("set MTU of %s to %d: %w", name, s.MTU, err)
		}
	}
	addr := &netlink.Addr{IPNet: ipnet(s.Address)}
	if s.Address.Addr().Is6() {
		// The head gave the address to this node alone: no need to wait for duplicates.
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("give %s to %s: %w", s.Address, name, err)
	}
	if !s.Gateway.IsValid() {
		return nil
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: s.Gateway.AsSlice()}
	if !s.Address.Contains(s.Gateway) {
		route.Flags = int(netlink.FLAG_ONLINK)
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route over %s: %w", s.Gateway, err)
	}
	return nil
}

// Resolver returns the text of the resolv.conf(5) for the setting.
func (s Setting) Resolver() string {
	var b strings.Builder
	for _, a := range s.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if s.Search != "" {
		fmt.Fprintf(&b, "search %s\n", s.Search)
	}
	return b.String()
}

// Values are the setting in words, for a report.
func (s Setting) Values(name string) map[string]string {
	v := map[string]string{"interface": name, "address": s.Address.String()}
	if s.Gateway.IsValid() {
		v["gateway"] = s.Gateway.String()
	}
	if len(s.DNS) > 0 {
		var words []string
		for _, a := range s.DNS {
			words = append(words, a.String())
		}
		v["dns"] = strings.Join(words, ",")
	}
	return v
}

func ipnet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
