// Package otherdev decides about devices that only DNS knows.
package otherdev

import (
	"net/netip"
	"slices"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// Add makes a device with an address in one network.
func Add(d *change.Draft, r *inventoryv1.OtherdevAddRequest) error {
	if err := d.NameTaken(catalog.Otherdev, r.Name); err != nil {
		return err
	}
	if r.Network == "" {
		return fault.Invalidf("a device needs a network: --network")
	}
	o := &inventoryv1.Otherdev{Id: change.NewID(), Name: r.Name, Comment: r.Comment}
	if err := Check(o); err != nil {
		return err
	}
	if err := give(d, o, r.Network, r.Ip); err != nil {
		return err
	}
	d.Put(o.Id, o)
	return nil
}

// Change gives a device an address in a network, another or none.
func Change(d *change.Draft, r *inventoryv1.OtherdevChangeRequest) error {
	found, err := d.Named(catalog.Otherdev, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	o := found.GetOtherdev()
	change.Set(&o.Comment, r.Comment)
	if err := Check(o); err != nil {
		return err
	}
	switch {
	case r.Network == "" && r.Ip != nil:
		return fault.Invalidf("in which network? --network")
	case r.Network == "":
	case r.Ip != nil && *r.Ip == "":
		err = leave(d, o, r.Network)
	default:
		err = give(d, o, r.Network, r.GetIp())
	}
	if err != nil {
		return err
	}
	d.Put(o.Id, o)
	return nil
}

// give gives a device an address in a network, in place of the one that it has there.
func give(d *change.Draft, o *inventoryv1.Otherdev, network, ip string) error {
	found, err := d.Named(catalog.Network, network, 0)
	if err != nil {
		return err
	}
	id := found.GetNetwork().Id
	a, err := address.NewSet(d).Of(id)
	if err != nil {
		return err
	}
	at := index(o, id)
	if at >= 0 && (ip == "" || o.Addresses[at].Address == ip) {
		return nil
	}
	addr, err := choose(a, ip)
	if err != nil {
		return err
	}
	if at < 0 {
		o.Addresses = append(o.Addresses, &inventoryv1.OtherdevAddress{NetworkId: id, Address: addr.String()})
		return nil
	}
	release(a, o.Addresses[at])
	o.Addresses[at].Address = addr.String()
	return nil
}

func choose(a *address.Allocator, ip string) (netip.Addr, error) {
	if ip == "" {
		return a.Free()
	}
	addr, err := inventoryv1.ParseAddress("ip", ip)
	if err != nil {
		return addr, fault.Invalidf("%w", err)
	}
	return addr, a.Take(addr)
}

func leave(d *change.Draft, o *inventoryv1.Otherdev, network string) error {
	found, err := d.Named(catalog.Network, network, 0)
	if err != nil {
		return err
	}
	at := index(o, found.GetNetwork().Id)
	if at < 0 {
		return fault.NotFoundf("%s has no address in network %s", o.Name, network)
	}
	a, err := address.NewSet(d).Of(found.GetNetwork().Id)
	if err != nil {
		return err
	}
	release(a, o.Addresses[at])
	o.Addresses = slices.Delete(o.Addresses, at, at+1)
	return nil
}

func index(o *inventoryv1.Otherdev, networkID string) int {
	return slices.IndexFunc(o.Addresses, func(a *inventoryv1.OtherdevAddress) bool { return a.NetworkId == networkID })
}

// release lets an address rest. One that cannot be read holds nothing.
func release(a *address.Allocator, old *inventoryv1.OtherdevAddress) {
	if addr, err := netip.ParseAddr(old.Address); err == nil {
		a.Release(addr)
	}
}

// Check looks at the fields of a device.
func Check(o *inventoryv1.Otherdev) error {
	for _, err := range []error{inventoryv1.CheckHostName(o.Name), inventoryv1.CheckText("comment", o.Comment)} {
		if err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	return nil
}

// Delete removes a device; its addresses rest.
func Delete(d *change.Draft, r *inventoryv1.DeleteRequest) error {
	found, err := d.Named(catalog.Otherdev, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	o := found.GetOtherdev()
	set := address.NewSet(d)
	for _, one := range o.Addresses {
		a, err := set.Of(one.NetworkId)
		if err != nil {
			return err
		}
		release(a, one)
	}
	d.Delete(catalog.Otherdev, o.Id, o.Name)
	return nil
}
