// Package address finds free addresses in networks.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// RestTime is how long a freed address is not given away: the longest lease of
// two hours plus a day, so that a head that missed the change cannot hand it to
// its old owner meanwhile.
const RestTime = 26 * time.Hour

// Who has an address without being an object of the inventory.
const (
	Gateway    = "the gateway"
	zoneServer = "the name server"
	nameServer = "a name server"
	timeServer = "a time server"
)

// IsServer tells whether somebody is what a network names as its gateway, name or time server.
func IsServer(who string) bool {
	return who == Gateway || who == zoneServer || who == nameServer || who == timeServer
}

// Allocator gives out addresses of one network within one change.
type Allocator struct {
	draft   *change.Draft
	network *inventoryv1.Network
	prefix  netip.Prefix
	taken   map[netip.Addr]string // address → who has it
	resting map[netip.Addr]*inventoryv1.Rest
	ranges  []addrRange
	next    netip.Addr
}

type addrRange struct{ first, last netip.Addr }

func (r addrRange) has(a netip.Addr) bool { return a.Compare(r.first) >= 0 && a.Compare(r.last) <= 0 }

// Set makes one allocator a network.
type Set struct {
	draft *change.Draft
	byID  map[string]*Allocator
}

// NewSet returns the allocators of a draft.
func NewSet(d *change.Draft) *Set { return &Set{draft: d, byID: map[string]*Allocator{}} }

// Of returns the allocator of a network.
func (s *Set) Of(networkID string) (*Allocator, error) {
	if a := s.byID[networkID]; a != nil {
		return a, nil
	}
	n, err := s.draft.Network(networkID)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, fmt.Errorf("network %s is missing", networkID)
	}
	a, err := newAllocator(s.draft, n)
	if err != nil {
		return nil, err
	}
	s.byID[networkID] = a
	return a, nil
}

func newAllocator(d *change.Draft, n *inventoryv1.Network) (*Allocator, error) {
	prefix, err := netip.ParsePrefix(n.Cidr)
	if err != nil {
		return nil, fmt.Errorf("network %s: %w", n.Name, err)
	}
	a := &Allocator{draft: d, network: n, prefix: prefix.Masked(), taken: map[netip.Addr]string{},
		resting: map[netip.Addr]*inventoryv1.Rest{}, next: prefix.Masked().Addr().Next()}
	if err := a.collect(); err != nil {
		return nil, err
	}
	return a, nil
}

// collect finds everything that holds an address of the network.
func (a *Allocator) collect() error {
	cluster, err := a.draft.Cluster()
	if err != nil {
		return err
	}
	a.take("the head", append([]string{cluster.GetFrontendAddress()}, cluster.GetClusterIps()...)...)
	a.take(Gateway, a.network.Gateway)
	a.take(zoneServer, a.network.NsIp)
	a.take(nameServer, a.network.Nameservers...)
	a.take(timeServer, a.network.Ntp...)
	a.take("a reservation", a.network.Reserved...)
	if r := a.network.DhcpRange; r != nil {
		first, err1 := netip.ParseAddr(r.Start)
		last, err2 := netip.ParseAddr(r.End)
		if err1 == nil && err2 == nil {
			a.ranges = append(a.ranges, addrRange{first, last})
		}
	}
	if err := errors.Join(a.collectNodes(), a.collectOthers()); err != nil {
		return err
	}
	return a.draft.Each(catalog.Rest, "", func(o *inventoryv1.Object) bool {
		if r := o.GetRest(); r.NetworkId == a.network.Id {
			if addr, err := netip.ParseAddr(r.Address); err == nil {
				a.resting[addr] = r
			}
		}
		return true
	})
}

func (a *Allocator) collectNodes() error {
	holders := map[netip.Addr]string{}
	err := a.draft.EachAddress(a.network.Id, func(addr netip.Addr, nodeID string) { holders[addr] = nodeID })
	for addr, id := range holders {
		a.taken[addr] = "node " + id
	}
	return err
}

// collectOthers finds the addresses of switches and other devices.
func (a *Allocator) collectOthers() error {
	switches, err := a.draft.Switches()
	for _, s := range switches {
		if s.NetworkId == a.network.Id {
			a.take("switch "+s.Name, s.Ip)
		}
	}
	others, otherErr := a.draft.Otherdevs()
	for _, o := range others {
		for _, one := range o.Addresses {
			if one.NetworkId == a.network.Id {
				a.take("otherdev "+o.Name, one.Address)
			}
		}
	}
	return errors.Join(err, otherErr)
}

func (a *Allocator) take(who string, addrs ...string) {
	for _, s := range addrs {
		if addr, err := netip.ParseAddr(s); err == nil && a.prefix.Contains(addr) {
			a.taken[addr] = who
		}
	}
}

// Free takes the lowest free address.
func (a *Allocator) Free() (netip.Addr, error) {
	for addr := a.next; a.prefix.Contains(addr); addr = addr.Next() {
		if r := a.rangeOf(addr); r != nil {
			addr = r.last
			continue
		}
		if a.taken[addr] != "" || a.isBroadcast(addr) || a.rests(addr) {
			continue
		}
		a.next = addr.Next()
		a.use(addr)
		return addr, nil
	}
	return netip.Addr{}, fault.Conflictf("network %s (%s) has no free address left", a.network.Name, a.network.Cidr)
}

// Take takes a certain address; Conflict says who has it.
func (a *Allocator) Take(addr netip.Addr) error {
	switch {
	case !a.prefix.Contains(addr):
		return fault.Invalidf("address %s is not in network %s (%s)", addr, a.network.Name, a.network.Cidr)
	case addr == a.prefix.Addr() && a.prefix.Bits() < addr.BitLen()-1, a.isBroadcast(addr):
		return fault.Invalidf("address %s is the network's own or its broadcast address", addr)
	case a.rangeOf(addr) != nil:
		return fault.Conflictf("address %s lies in the DHCP range of network %s", addr, a.network.Name)
	case a.taken[addr] != "":
		who, _ := a.holder(addr)
		return fault.Conflictf("address %s is taken by %s", addr, who)
	case a.rests(addr):
		return fault.Conflictf("address %s was given up and may be used again after %s", addr, a.resting[addr].Until)
	}
	a.use(addr)
	return nil
}

// holder names who has an address, and a node's MAC.
func (a *Allocator) holder(addr netip.Addr) (who, mac string) {
	n, err := a.draft.NodeByAddress(a.network.Id, addr)
	if err == nil && n != nil {
		return "node " + n.Name, n.Mac
	}
	return a.taken[addr], ""
}

// Who names who has an address, as in "node node001", "switch s1" or "the gateway",
// and a node's MAC; empty when nobody has it, or who had it while it rests.
func (a *Allocator) Who(addr netip.Addr) (who, mac string, rests bool) {
	if a.taken[addr] != "" {
		who, mac = a.holder(addr)
		return who, mac, false
	}
	if a.rests(addr) {
		return a.resting[addr].Holder, a.resting[addr].Mac, true
	}
	return "", "", false
}

// Vacate forgets who has an address, or had it, for who may have it in their place.
func (a *Allocator) Vacate(addr netip.Addr) {
	delete(a.taken, addr)
	a.Wake(addr)
}

// Holders lists who holds addresses between first and last.
func (a *Allocator) Holders(first, last netip.Addr) []string {
	var all []string
	for addr := range a.taken {
		if (addrRange{first, last}).has(addr) {
			who, _ := a.holder(addr)
			all = append(all, fmt.Sprintf("%s (%s)", addr, who))
		}
	}
	return all
}

// Release gives an address up; it rests before it is used again.
func (a *Allocator) Release(addr netip.Addr) {
	holder, mac := a.holder(addr)
	delete(a.taken, addr)
	a.resting[addr] = Rest(a.draft, a.network.Id, addr, holder, mac)
}

// Rest lets an address rest that a holder gives up, as in "node node001".
func Rest(d *change.Draft, networkID string, addr netip.Addr, holder, mac string) *inventoryv1.Rest {
	r := &inventoryv1.Rest{NetworkId: networkID, Address: addr.String(), Until: d.Now.Add(RestTime).UTC().Format(time.RFC3339), Holder: holder, Mac: mac}
	d.Put(change.RestID(networkID, addr), r)
	return r
}

// Wake ends the rest of an address, for whoever had it.
func (a *Allocator) Wake(addr netip.Addr) {
	if a.resting[addr] != nil {
		delete(a.resting, addr)
		a.draft.Delete(catalog.Rest, change.RestID(a.network.Id, addr), "")
	}
}

func (a *Allocator) use(addr netip.Addr) {
	a.taken[addr] = "this change"
	a.Wake(addr)
}

func (a *Allocator) rests(addr netip.Addr) bool {
	r := a.resting[addr]
	if r == nil {
		return false
	}
	until, err := time.Parse(time.RFC3339, r.Until)
	return err == nil && a.draft.Now.Before(until)
}

func (a *Allocator) rangeOf(addr netip.Addr) *addrRange {
	for i := range a.ranges {
		if a.ranges[i].has(addr) {
			return &a.ranges[i]
		}
	}
	return nil
}

func (a *Allocator) isBroadcast(addr netip.Addr) bool {
	return addr.Is4() && a.prefix.Bits() < 31 && !a.prefix.Contains(addr.Next())
}

// Spare is Conflict when an address cannot be one of somebody who is no node,
// because a node or the DHCP range has it.
func (a *Allocator) Spare(addr netip.Addr) error {
	n, err := a.draft.NodeByAddress(a.network.Id, addr)
	switch {
	case err != nil:
		return err
	case n != nil:
		return fault.Conflictf("address %s is taken by node %s", addr, n.Name)
	case a.rangeOf(addr) != nil:
		return fault.Conflictf("address %s lies in the DHCP range of network %s", addr, a.network.Name)
	case strings.HasPrefix(a.taken[addr], "switch "), strings.HasPrefix(a.taken[addr], "otherdev "):
		return fault.Conflictf("address %s is taken by %s", addr, a.taken[addr])
	}
	return nil
}

// Holds reports whether an address lies in the network.
func (a *Allocator) Holds(addr netip.Addr) bool { return a.prefix.Contains(addr) }
