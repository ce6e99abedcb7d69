package exchange

import (
	"errors"
	"fmt"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/luna-hpc/luna/services/dhcp/internal/lease"
)

// node gives a node its own address, from its first packet on.
func (x *exchange) node(_, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	host := x.place.Host
	if host == nil {
		return resp, false
	}
	switch x.kind {
	case dhcpv4.MessageTypeInform:
		return resp, false
	case dhcpv4.MessageTypeRequest:
		if x.wish != host.Addr {
			return x.refuse(resp, fmt.Sprintf("%s has the address %s", host.Name, host.Addr))
		}
	}
	resp.YourIPAddr = ip(host.Addr)
	setTimes(resp, x.Terms.NodeLease)
	return resp, false
}

// stranger gives an address of the range to a machine that is no node.
func (x *exchange) stranger(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if x.place.Host != nil || x.kind == dhcpv4.MessageTypeInform {
		return resp, false
	}
	select {
	case <-x.LeasesRead:
	default:
		x.Metrics.Refused("leases_unread")
		return nil, true
	}
	if x.place.Network.Slice == nil {
		x.Metrics.Refused("no_range")
		return nil, true
	}
	if x.kind == dhcpv4.MessageTypeDiscover {
		return x.offer(resp)
	}
	return x.grant(req, resp)
}

func (x *exchange) offer(resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	a, err := x.Leases.Offer(x.mac, x.place.Network, x.wish, x.now, x.Terms.OfferHold)
	if err != nil {
		x.Metrics.Refused("range_full")
		x.warn("no address for a stranger", "mac", x.mac, "network", x.place.Network.Name, "err", err)
		return nil, true
	}
	resp.YourIPAddr = ip(a)
	setTimes(resp, x.Terms.StrangerLease)
	return resp, false
}

func (x *exchange) grant(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	l := lease.Lease{MAC: x.mac, Addr: x.wish, NetworkID: x.place.Network.ID, Head: x.Head, Hostname: printable(req.HostName()),
		Granted: x.now, Expires: x.now.Add(x.Terms.StrangerLease)}
	switch err := x.Leases.Grant(l, x.place.Network, x.now); {
	case errors.Is(err, lease.ErrElsewhere):
		x.Metrics.Refused("other_head")
		return nil, true
	case err != nil:
		return x.refuse(resp, err.Error())
	}
	x.keep = append(x.keep, l)
	resp.YourIPAddr = ip(l.Addr)
	setTimes(resp, x.Terms.StrangerLease)
	return resp, false
}

// setTimes sets the lease's length and when to renew and to rebind (RFC 2131 section 4.4.5).
func setTimes(resp *dhcpv4.DHCPv4, length time.Duration) {
	resp.UpdateOption(dhcpv4.OptIPAddressLeaseTime(length))
	resp.UpdateOption(dhcpv4.OptRenewTimeValue(length / 2))
	resp.UpdateOption(dhcpv4.OptRebindingTimeValue(length * 7 / 8))
}

// printable returns a name as the listing can show it.
func printable(name string) string {
	out := make([]byte, 0, len(name))
	for i := 0; i < len(name) && len(out) < 63; i++ {
		if c := name[i]; c > ' ' && c < 0x7f {
			out = append(out, c)
		}
	}
	return string(out)
}

// decline puts an address aside that its asker found in use.
func (x *exchange) decline() {
	a := addr(x.req.RequestedIPAddress())
	if host := x.place.Host; host != nil {
		x.warn("node says that its address is used by another machine", "node", host.Name, "address", a)
		return
	}
	if l, ok := x.Leases.Decline(x.mac, a, x.now, x.Terms.DeclineRest); ok {
		x.warn("address is in use by a machine without a lease, it is put aside", "address", a, "mac", x.mac)
		x.keep = append(x.keep, l)
	}
}

// release ends a stranger's lease.
func (x *exchange) release() {
	if l, ok := x.Leases.Release(x.mac, addr(x.req.ClientIPAddr), x.now); ok {
		x.keep = append(x.keep, l)
	}
}
