package transfer

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
)

// want is an address that the text gives, to an interface or in a network by name.
type want struct {
	field, iface, network string
	address               netip.Addr // invalid is any
}

func (o *object) want(field, iface, network, text string) error {
	a, err := inventoryv1.ParseAddress(field, text)
	if err != nil {
		return fault.Invalidf("%w", err)
	}
	o.wants = append(o.wants, want{field, iface, network, a})
	return nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// site gives addresses in the networks as they will be; what somebody has now
// is taken until the change is done.
type site struct {
	*plan
	set      *address.Set
	prefixes map[string]netip.Prefix
	// takers are who has been given an address in this change.
	takers map[address.Holding]*object
	// gone and named are who goes and who stays, as in "node node001".
	gone  map[string]bool
	named map[string]*object
}

// place gives objects their addresses: first those that the text gives and that
// they have, then free ones.
func (p *plan) place() error {
	s, err := p.newSite()
	if err != nil {
		return err
	}
	var fill []func() error
	for _, o := range p.objects {
		var more func() error
		switch o.now.(type) {
		case *inventoryv1.Switch:
			err = s.placeSwitch(o)
		case *inventoryv1.Otherdev:
			more, err = s.placeOtherdev(o)
		case *inventoryv1.Node:
			more, err = s.placeNode(o)
		}
		if err = p.bad(o, err); err != nil {
			return err
		}
		if more != nil {
			fill = append(fill, func() error { return p.bad(o, more()) })
		}
	}
	if len(p.problems) > 0 {
		return nil // free addresses are not to hide what was wrong
	}
	for _, f := range fill {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) newSite() (*site, error) {
	layer := catalog.Over(p.draft.View)
	for _, o := range p.objects {
		if o.noun != catalog.Cluster && o.noun != catalog.Network {
			continue
		}
		if err := layer.Put(idOf(o.now), o.now); err != nil {
			return nil, err
		}
	}
	s := &site{plan: p, set: address.NewSet(p.draft.On(layer.View)), prefixes: map[string]netip.Prefix{}, takers: map[address.Holding]*object{}, gone: map[string]bool{}, named: map[string]*object{}}
	for _, o := range p.objects {
		s.named[string(o.noun)+" "+o.name] = o
	}
	for _, o := range p.gone {
		s.gone[string(o.noun)+" "+o.name] = true
	}
	networks, err := layer.Networks()
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		if s.prefixes[n.Id], err = netip.ParsePrefix(n.Cidr); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// has reports whether an object has an address already.
func has(o *object, h address.Holding) bool { return slices.Contains(address.Held(o.old), h) }

// take gives an object a certain address.
func (s *site) take(o *object, field string, h address.Holding) error {
	if other := s.takers[h]; other != nil {
		return fault.Conflictf("%s: address %s is that of %s too", field, h.Address, other)
	}
	s.takers[h] = o
	a, err := s.set.Of(h.NetworkID)
	if err != nil {
		return err
	}
	if has(o, h) && a.Holds(h.Address) {
		return nil
	}
	who, mac, rests := a.Who(h.Address)
	if s.gives(o, who, mac, rests) {
		a.Vacate(h.Address)
	}
	err = a.Take(h.Address)
	switch {
	case err == nil:
		return nil
	case s.leaves(who, h.Address):
		return fault.Conflictf("%s: address %s is given up by %s in this change: it rests for %v before somebody else may have it", field, h.Address, who, address.RestTime)
	}
	return fault.New(fault.KindOf(err), "%s: %w", field, err)
}

// leaves tells whether somebody gives an address up in this change.
func (s *site) leaves(who string, a netip.Addr) bool {
	if s.gone[who] {
		return true
	}
	o := s.named[who]
	return o != nil && len(o.wants) > 0 && !slices.ContainsFunc(o.wants, func(w want) bool { return w.address == a })
}

// gives tells whether an object may have the address that somebody has or had:
// one that rests is given back, one machine with another name keeps its own, and
// what a network names as its gateway or server may be somebody of the inventory.
func (s *site) gives(o *object, who, mac string, rests bool) bool {
	n, isNode := o.now.(*inventoryv1.Node)
	same := mac != "" && mac == n.GetMac()
	switch {
	case who == "":
		return false
	case rests:
		return same || who == string(o.noun)+" "+o.name
	case address.IsServer(who):
		return !isNode || who != address.Gateway
	}
	return same && s.gone[who]
}

func (s *site) placeSwitch(o *object) error {
	n := o.now.(*inventoryv1.Switch)
	if n.NetworkId == "" {
		return fault.Invalidf("network: a switch needs the network that its address is in")
	}
	n.Ip = o.wants[0].address.String()
	return s.take(o, "ip", address.Holding{NetworkID: n.NetworkId, Address: o.wants[0].address})
}

// placeOtherdev returns what gives a device the addresses that the text leaves open.
func (s *site) placeOtherdev(o *object) (func() error, error) {
	n := o.now.(*inventoryv1.Otherdev)
	old := address.Held(o.old)
	var open []*inventoryv1.OtherdevAddress
	for _, w := range o.wants {
		id, err := s.refer(catalog.Network, "addresses", w.network)
		if err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(old, func(h address.Holding) bool { return h.NetworkID == id }); !w.address.IsValid() && at >= 0 {
			w.address = old[at].Address
		}
		n.Addresses = append(n.Addresses, &inventoryv1.OtherdevAddress{NetworkId: id})
		last := n.Addresses[len(n.Addresses)-1]
		if !w.address.IsValid() {
			open = append(open, last)
			continue
		}
		last.Address = w.address.String()
		if err := s.take(o, w.field, address.Holding{NetworkID: id, Address: w.address}); err != nil {
			return nil, err
		}
	}
	return func() (err error) {
		for _, a := range open {
			if a.Address, err = s.free(a.NetworkId); err != nil {
				return err
			}
		}
		n.Addresses = likeOld(n.Addresses, oldOf[*inventoryv1.Otherdev](o).Addresses)
		return nil
	}, nil
}

func (s *site) free(networkID string) (string, error) {
	a, err := s.set.Of(networkID)
	if err != nil {
		return "", err
	}
	addr, err := a.Free()
	return addr.String(), err
}

// sortedBy returns a copy in the order of a number.
func sortedBy[T any](all []T, number func(T) int) []T {
	return slices.SortedStableFunc(slices.Values(all), func(a, b T) int { return number(a) - number(b) })
}
