package transfer

import (
	"slices"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/bmcsetup"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/cluster"
	"github.com/luna-hpc/luna/services/inventory/internal/group"
	"github.com/luna-hpc/luna/services/inventory/internal/netswitch"
	"github.com/luna-hpc/luna/services/inventory/internal/network"
	"github.com/luna-hpc/luna/services/inventory/internal/node"
	"github.com/luna-hpc/luna/services/inventory/internal/osimage"
	"github.com/luna-hpc/luna/services/inventory/internal/otherdev"
)

// check looks at every object in the inventory as it will be.
func (p *plan) check() error {
	layer := catalog.Over(p.draft.View)
	for _, o := range append(slices.Clone(p.gone), p.objects...) {
		if o.old == nil {
			continue
		}
		if err := layer.Delete(o.noun, idOf(o.old)); err != nil {
			return err
		}
	}
	d := p.draft.On(layer.View)
	// A node is looked at before it is there, so that another one's MAC and port
	// are found to be another one's.
	var later []*object
	for _, o := range p.objects {
		if n, ok := o.now.(*inventoryv1.Node); !ok {
			later = append(later, o)
		} else if err := p.bad(o, node.Check(d, n)); err != nil {
			return err
		}
		if err := layer.Put(idOf(o.now), o.now); err != nil {
			return err
		}
	}
	set := address.NewSet(d)
	for _, o := range later {
		if err := p.bad(o, checkOne(d, set, o)); err != nil {
			return err
		}
	}
	if len(p.problems) > 0 {
		return nil
	}
	return p.checkHeads(d)
}

func checkOne(d *change.Draft, set *address.Set, o *object) error {
	switch m := o.now.(type) {
	case *inventoryv1.Cluster:
		return cluster.Check(m)
	case *inventoryv1.Network:
		return checkNetwork(d, set, m)
	case *inventoryv1.Osimage:
		return osimage.Check(d, m)
	case *inventoryv1.Bmcsetup:
		return bmcsetup.Check(m)
	case *inventoryv1.Switch:
		return netswitch.Check(m)
	case *inventoryv1.Otherdev:
		return otherdev.Check(m)
	case *inventoryv1.Group:
		for _, look := range []func() error{func() error { return group.Check(m) }, func() error { return group.CheckInterfaces(m) }, func() error { return group.CheckNetworks(d, m) }} {
			if err := look(); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

func checkNetwork(d *change.Draft, set *address.Set, n *inventoryv1.Network) error {
	if err := network.Check(d, n); err != nil {
		return err
	}
	if err := network.CheckInside(d, n); err != nil {
		return err
	}
	for _, ip := range n.Reserved {
		if _, err := network.Reservation(d, n, ip); err != nil {
			return err
		}
	}
	if n.DhcpRange == nil {
		return nil
	}
	return cluster.CheckRange(set, n)
}

// checkHeads looks whether nobody else has an address of the heads.
func (p *plan) checkHeads(d *change.Draft) error {
	c, err := d.Cluster()
	if err != nil || c == nil {
		return err
	}
	o := p.byID[c.Id]
	if o == nil {
		o = &object{noun: catalog.Cluster}
	}
	return p.bad(o, cluster.Spare(d, cluster.Heads(c), nil))
}
