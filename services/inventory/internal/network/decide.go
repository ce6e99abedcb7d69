// Package network decides about networks.
package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// Add makes a network.
func Add(d *change.Draft, r *inventoryv1.NetworkAddRequest) error {
	if err := d.NameTaken(catalog.Network, r.Name); err != nil {
		return err
	}
	prefix, err := Prefix(r.Network, r.Prefix)
	if err != nil {
		return err
	}
	n := &inventoryv1.Network{Id: change.NewID(), Name: r.Name, Cidr: prefix.String(), Mtu: r.Mtu,
		NsHostname: r.NsHostname, NsIp: r.NsIp, Comment: r.Comment}
	if err := setLists(n, &r.Gateway, &r.Nameservers, &r.Ntp); err != nil {
		return err
	}
	if err := Check(d, n); err != nil {
		return err
	}
	d.Put(n.Id, n)
	return nil
}

// Prefix makes 10.30.0.0/16 of 10.30.4.1 and 16.
func Prefix(address string, bits uint32) (netip.Prefix, error) {
	if host, suffix, ok := strings.Cut(address, "/"); ok {
		if bits != 0 && fmt.Sprint(bits) != suffix {
			return netip.Prefix{}, fault.Invalidf("network %s and prefix %d do not agree", address, bits)
		}
		p, err := netip.ParsePrefix(address)
		if err != nil {
			return p, fault.Invalidf("network %q must be an address and a prefix, as in 10.30.0.0/16", address)
		}
		address, bits = host, uint32(p.Bits())
	}
	a, err := inventoryv1.ParseAddress("network", address)
	if err != nil {
		return netip.Prefix{}, fault.Invalidf("%w", err)
	}
	if bits < 1 || int(bits) > a.BitLen()-1 {
		return netip.Prefix{}, fault.Invalidf("prefix must be 1 to %d for network %s, not %d", a.BitLen()-1, a, bits)
	}
	return netip.PrefixFrom(a, int(bits)).Masked(), nil
}

func setLists(n *inventoryv1.Network, gateway, nameservers, ntp *string) error {
	for _, l := range []struct {
		what string
		from *string
		to   *[]string
	}{{"nameservers", nameservers, &n.Nameservers}, {"ntp", ntp, &n.Ntp}} {
		if l.from == nil {
			continue
		}
		all, err := inventoryv1.ParseAddresses(l.what, *l.from)
		if err != nil {
			return fault.Invalidf("%w", err)
		}
		*l.to = all
	}
	if gateway != nil {
		n.Gateway = *gateway
	}
	return nil
}

// Check looks at the fields of a network, and that it shares no address with another one.
func Check(d *change.Draft, n *inventoryv1.Network) error {
	if err := inventoryv1.CheckDomain(n.Name); err != nil {
		return fault.Invalidf("%w", err)
	}
	prefix, err := netip.ParsePrefix(n.Cidr)
	if err != nil {
		return err
	}
	if n.Gateway != "" {
		g, err := inventoryv1.ParseAddress("gateway", n.Gateway)
		if err != nil {
			return fault.Invalidf("%w", err)
		}
		if !prefix.Contains(g) {
			return fault.Invalidf("gateway %s is not in network %s", g, prefix)
		}
		n.Gateway = g.String()
	}
	if n.NsIp != "" {
		if _, err := inventoryv1.ParseAddress("ns_ip", n.NsIp); err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	if n.NsHostname != "" {
		if err := inventoryv1.CheckDomain(strings.TrimSuffix(n.NsHostname, ".")); err != nil {
			return fault.Invalidf("ns_hostname: %w", err)
		}
	}
	if n.Mtu != 0 && (n.Mtu < 576 || n.Mtu > 65535) {
		return fault.Invalidf("mtu must be 576 to 65535, not %d", n.Mtu)
	}
	for what, text := range map[string]string{"include": n.Include, "rev_include": n.RevInclude, "comment": n.Comment} {
		if err := inventoryv1.CheckText(what, text); err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	return overlaps(d, n, prefix)
}

// overlaps refuses two networks that share addresses: an address would not say which it is in.
func overlaps(d *change.Draft, n *inventoryv1.Network, prefix netip.Prefix) error {
	all, err := d.Networks()
	if err != nil {
		return err
	}
	for _, o := range all {
		if p, err := netip.ParsePrefix(o.Cidr); err == nil && o.Id != n.Id && p.Overlaps(prefix) {
			return fault.Conflictf("network %s shares addresses with network %s (%s)", prefix, o.Name, o.Cidr)
		}
	}
	return nil
}

// Change sets fields of a network. A new prefix must hold every address in use.
func Change(d *change.Draft, r *inventoryv1.NetworkChangeRequest) error {
	o, err := d.Named(catalog.Network, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	n := o.GetNetwork()
	if err := setLists(n, r.Gateway, r.Nameservers, r.Ntp); err != nil {
		return err
	}
	if r.Network != nil || r.Prefix != nil {
		if err := setPrefix(d, n, r); err != nil {
			return err
		}
	}
	change.Set(&n.Mtu, r.Mtu)
	change.Set(&n.NsHostname, r.NsHostname)
	change.Set(&n.NsIp, r.NsIp)
	change.Set(&n.Include, r.Include)
	change.Set(&n.RevInclude, r.RevInclude)
	change.Set(&n.Comment, r.Comment)
	if err := reserve(d, n, r); err != nil {
		return err
	}
	if err := Check(d, n); err != nil {
		return err
	}
	d.Put(n.Id, n)
	return nil
}

func setPrefix(d *change.Draft, n *inventoryv1.Network, r *inventoryv1.NetworkChangeRequest) error {
	old, err := netip.ParsePrefix(n.Cidr)
	if err != nil {
		return err
	}
	address, bits := old.Addr().String(), uint32(old.Bits())
	change.Set(&address, r.Network)
	change.Set(&bits, r.Prefix)
	prefix, err := Prefix(address, bits)
	if err != nil {
		return err
	}
	n.Cidr = prefix.String()
	return CheckInside(d, n)
}

// CheckInside is a Conflict when addresses in use in a network, or its DHCP range, are outside it.
func CheckInside(d *change.Draft, n *inventoryv1.Network) error {
	prefix, err := netip.ParsePrefix(n.Cidr)
	if err != nil {
		return err
	}
	var outside []string
	err = d.EachAddress(n.Id, func(a netip.Addr, id string) {
		if !prefix.Contains(a) {
			outside = append(outside, a.String())
		}
	})
	if err != nil {
		return err
	}
	devices, err := devicesIn(d, n.Id)
	if err != nil {
		return err
	}
	for _, x := range devices {
		if a, err := netip.ParseAddr(x.address); err == nil && !prefix.Contains(a) {
			outside = append(outside, x.address+" ("+x.name+")")
		}
	}
	if rg := n.DhcpRange; rg != nil {
		for _, s := range []string{rg.Start, rg.End} {
			if a, err := netip.ParseAddr(s); err == nil && !prefix.Contains(a) {
				outside = append(outside, s+" (DHCP range)")
			}
		}
	}
	if len(outside) > 0 {
		return fault.Conflictf("%d addresses are not in %s: %s", len(outside), prefix, strings.Join(outside[:min(10, len(outside))], ", "))
	}
	return nil
}

// Reservation returns an address of a network that no node has.
func Reservation(d *change.Draft, n *inventoryv1.Network, ip string) (netip.Addr, error) {
	a, err := inventoryv1.ParseAddress("reserve", ip)
	if err != nil {
		return a, fault.Invalidf("%w", err)
	}
	if prefix, err := netip.ParsePrefix(n.Cidr); err != nil || !prefix.Contains(a) {
		return a, fault.Invalidf("address %s is not in network %s", a, n.Cidr)
	}
	holder, err := d.NodeByAddress(n.Id, a)
	if err == nil && holder != nil {
		err = fault.Conflictf("address %s is taken by node %s", a, holder.Name)
	}
	return a, err
}

func reserve(d *change.Draft, n *inventoryv1.Network, r *inventoryv1.NetworkChangeRequest) error {
	if r.Reserve != nil {
		a, err := Reservation(d, n, *r.Reserve)
		if err != nil {
			return err
		}
		if !slices.Contains(n.Reserved, a.String()) {
			n.Reserved = append(n.Reserved, a.String())
		}
	}
	if r.Release != nil {
		i := slices.Index(n.Reserved, *r.Release)
		if i < 0 {
			return fault.NotFoundf("address %s is not reserved in network %s", *r.Release, n.Name)
		}
		n.Reserved = slices.Delete(n.Reserved, i, i+1)
	}
	return nil
}

// Delete removes a network that nothing refers to.
func Delete(d *change.Draft, r *inventoryv1.DeleteRequest) error {
	o, err := d.Named(catalog.Network, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	n := o.GetNetwork()
	var user string
	err = d.Each(catalog.Group, "", func(o *inventoryv1.Object) bool {
		for _, i := range o.GetGroup().Interfaces {
			if slices.Contains(i.NetworkIds, n.Id) {
				user = o.GetGroup().Name
			}
		}
		return user == ""
	})
	if err != nil {
		return err
	}
	if user != "" {
		return fault.Conflictf("network %s is used by group %s", n.Name, user)
	}
	devices, err := devicesIn(d, n.Id)
	if err != nil {
		return err
	}
	if len(devices) > 0 {
		return fault.Conflictf("network %s is used by %s", n.Name, devices[0].name)
	}
	if err := DropRests(d, n.Id); err != nil {
		return err
	}
	d.Delete(catalog.Network, n.Id, n.Name)
	return nil
}

// DropRests removes the resting addresses of a network that goes.
func DropRests(d *change.Draft, networkID string) error {
	return d.Each(catalog.Rest, "", func(o *inventoryv1.Object) bool {
		if r := o.GetRest(); r.NetworkId == networkID {
			if a, err := netip.ParseAddr(r.Address); err == nil {
				d.Delete(catalog.Rest, change.RestID(networkID, a), "")
			}
		}
		return true
	})
}

// device is a switch or another device with an address in a network.
type device struct{ name, address string }

func devicesIn(d *change.Draft, networkID string) ([]device, error) {
	var all []device
	switches, err := d.Switches()
	if err != nil {
		return nil, err
	}
	for _, s := range switches {
		if s.NetworkId == networkID {
			all = append(all, device{"switch " + s.Name, s.Ip})
		}
	}
	others, err := d.Otherdevs()
	for _, o := range others {
		for _, a := range o.Addresses {
			if a.NetworkId == networkID {
				all = append(all, device{"otherdev " + o.Name, a.Address})
			}
		}
	}
	return all, err
}
