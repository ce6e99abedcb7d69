// Package netif finds the node's boot interface and gives it its address.
package netif

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// tick is how often the kernel is asked whether something has come.
const tick = 200 * time.Millisecond

// Find returns the name of the network card with the MAC.
func Find(mac net.HardwareAddr) (string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return "", fmt.Errorf("list network interfaces: %w", err)
	}
	for _, l := range links {
		if a := l.Attrs(); card(l) && bytes.Equal(a.HardwareAddr, mac) {
			return a.Name, nil
		}
	}
	return "", fmt.Errorf("no network interface has MAC %s; there %s", mac, describe(links))
}

// MAC returns the permanent MAC of the network card with a name, nil when there
// is no such card.
func MAC(name string) (net.HardwareAddr, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	for _, l := range links {
		if a := l.Attrs(); card(l) && a.Name == name {
			if len(a.PermHWAddr) > 0 {
				return a.PermHWAddr, nil
			}
			return a.HardwareAddr, nil
		}
	}
	return nil, nil
}

// Wait returns the name of the network card with the MAC as soon as there is
// one. When ctx ends before, the error names the interfaces that are there.
func Wait(ctx context.Context, mac net.HardwareAddr) (string, error) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		name, err := Find(mac)
		if err == nil {
			return name, nil
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-ticker.C:
		}
	}
}

// card tells whether a link is hardware, and not built on another that may
// have the same MAC.
func card(l netlink.Link) bool {
	switch l.Type() {
	case "bond", "bridge", "vlan", "macvlan", "macvtap", "ipvlan", "dummy":
		return false
	}
	return l.Attrs().Flags&net.FlagLoopback == 0
}

func describe(links []netlink.Link) string {
	var words []string
	for _, l := range links {
		if a := l.Attrs(); a.Flags&net.FlagLoopback == 0 {
			words = append(words, a.Name+" "+a.HardwareAddr.String())
		}
	}
	if len(words) == 0 {
		return "is none at all: a driver or its firmware may be missing in the initrd"
	}
	if len(words) == 1 {
		return "is " + words[0]
	}
	return "are " + strings.Join(words, ", ")
}

// Up switches an interface on and waits until it has a carrier.
func Up(ctx context.Context, name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("switch %s on: %w", name, err)
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		if a := link.Attrs(); a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown && a.RawFlags&running != 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has no carrier: is its cable in, and its switch port on?", name)
		case <-ticker.C:
		}
	}
}

// running is IFF_RUNNING, netdevice(7).
const running = 0x40

// Down takes all addresses and routes off an interface and switches it off.
func Down(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	if err := flush(link); err != nil {
		return err
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return fmt.Errorf("switch %s off: %w", name, err)
	}
	return nil
}

func flush(link netlink.Link) error {
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	var errs []error
	for _, a := range addrs {
		if a.IP.IsLinkLocalUnicast() && a.IP.To4() == nil {
			continue // The kernel's own, which goes with the link.
		}
		if err := netlink.AddrDel(link, &a); err != nil {
			errs = append(errs, fmt.Errorf("take %s off %s: %w", a.IPNet, link.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}

// Loopback switches the loopback interface on.
func Loopback() error {
	link, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("look at lo: %w", err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("switch lo on: %w", err)
	}
	return nil
}
