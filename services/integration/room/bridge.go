package room

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// bridgeMAC is fixed: a bridge without an address of its own takes the lowest of its ports', and the head's would change
// whenever a machine is added.
var bridgeMAC = net.HardwareAddr{0x52, 0x54, 0x00, 0xff, 0xff, 0xfe}

func (r *Room) makeBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = Bridge, bridgeMAC
	br := &netlink.Bridge{LinkAttrs: attrs}
	if err := r.links.LinkAdd(br); err != nil {
		return fmt.Errorf("make bridge: %w", err)
	}
	if err := r.leaveBridgedPackets(); err != nil {
		return err
	}
	return r.give(Bridge, r.opt.HeadAddr)
}

// leaveBridgedPackets keeps what machines say to each other out of the head's firewall, which a
// Docker daemon in the namespace sets to drop what it does not know.
func (r *Room) leaveBridgedPackets() error {
	return r.Do(func() error {
		for _, table := range []string{"iptables", "ip6tables", "arptables"} {
			err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+table, []byte("0"), 0)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("keep bridged packets from %s: %w", table, err)
			}
		}
		return nil
	})
}

// makeTap makes a port of the switch for a machine.
func (r *Room) makeTap(name string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	tap := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP}
	// A tap belongs to the namespace of the thread that makes it, whatever the netlink handle's is.
	if err := r.Do(func() error { return netlink.LinkAdd(tap) }); err != nil {
		return fmt.Errorf("make tap %s: %w", name, err)
	}
	return r.plug(name)
}

// plug makes a link a port of the switch: a wire only, on which the head itself says nothing.
func (r *Room) plug(name string) error {
	br, err := r.links.LinkByName(Bridge)
	if err != nil {
		return fmt.Errorf("find bridge: %w", err)
	}
	link, err := r.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find link %s: %w", name, err)
	}
	const none = 1 // IN6_ADDR_GEN_MODE_NONE of linux/if_link.h
	if err := r.links.LinkSetIP6AddrGenMode(link, none); err != nil {
		return fmt.Errorf("keep IPv6 from link %s: %w", name, err)
	}
	if err := r.links.LinkSetMaster(link, br); err != nil {
		return fmt.Errorf("plug link %s into the bridge: %w", name, err)
	}
	return r.up(name)
}
