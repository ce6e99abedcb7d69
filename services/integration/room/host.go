package room

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Host is a namespace of its own with a card, eth0, on the room's switch: a place for strangers' clients, such
// as dhclient, dig or aria2c, that costs no emulation.
type Host struct {
	*Namespace
	room *Room
	port string
}

// AddHost makes a host, whose card has these addresses, if any. Its namespace's name is the room's, a hyphen
// and name.
func (r *Room) AddHost(ctx context.Context, name string, mac net.HardwareAddr, addrs ...netip.Prefix) (*Host, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("add host %s: room %s is closed", name, r.name)
	}
	ns, err := newNamespace(ctx, r.name+"-"+name)
	if err != nil {
		return nil, fmt.Errorf("add host %s: %w", name, err)
	}
	h := &Host{Namespace: ns, room: r, port: fmt.Sprintf("host%d", len(r.hosts))}
	if err := h.connect(mac, addrs); err != nil {
		return nil, errors.Join(fmt.Errorf("add host %s: %w", name, err), ns.remove())
	}
	r.hosts = append(r.hosts, h)
	return h, nil
}

func (h *Host) connect(mac net.HardwareAddr, addrs []netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.Namespace = "eth0", mac, netlink.NsFd(h.handle)
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: h.port, PeerNamespace: netlink.NsFd(h.room.handle)}
	if err := h.links.LinkAdd(veth); err != nil {
		return fmt.Errorf("make cable: %w", err)
	}
	if err := h.room.plug(h.port); err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := h.give("eth0", addr); err != nil {
			return err
		}
	}
	return h.up("eth0")
}

// Know tells the host the hardware address of another. It then does not ask: what namespaces have asked for lies in one
// table of the machine's, which holds 1,024 and is too small for 40 hosts that all talk to each other.
func (h *Host) Know(addr netip.Addr, mac net.HardwareAddr) error {
	link, err := h.links.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("find link eth0: %w", err)
	}
	n := &netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac}
	if err := h.links.NeighSet(n); err != nil {
		return fmt.Errorf("tell where %s is: %w", addr, err)
	}
	return nil
}

// Link is how slow a link is, by tbf(8): what stood idle it makes good until its bucket is full, and what finds its queue
// full is lost. All are as tc(8) has them.
type Link struct{ Rate, Bucket, Queue string }

// Shape makes the host's link as slow as that, in both directions.
func (h *Host) Shape(ctx context.Context, l Link) error {
	for _, end := range []struct {
		at   *Namespace
		link string
	}{{h.Namespace, "eth0"}, {h.room.Namespace, h.port}} {
		args := []string{"qdisc", "add", "dev", end.link, "root", "tbf", "rate", l.Rate, "burst", l.Bucket, "limit", l.Queue}
		if _, err := Output(end.at.Command(ctx, "tc", args...)); err != nil {
			return fmt.Errorf("shape link: %w", err)
		}
	}
	return nil
}

// Bytes is what the host received and sent, counted at its port of the switch.
func (h *Host) Bytes() (Traffic, error) { return h.room.portTraffic(h.port) }
