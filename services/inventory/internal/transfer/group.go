package transfer

import (
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/group"
)

func (p *plan) groupOf(o *object, id string, t *blueprint.Group) (err error) {
	g := &inventoryv1.Group{Id: id, Name: o.name, Domain: t.Domain, TorrentIf: t.TorrentIf, Prescript: t.Prescript,
		Partscript: group.Partscript, Postscript: group.Postscript, Comment: t.Comment, Root: t.Root}
	change.Set(&g.Partscript, t.Partscript)
	change.Set(&g.Postscript, t.Postscript)
	o.now = g
	if g.OsimageId, err = p.refer(catalog.Osimage, "osimage", t.Osimage); err != nil {
		return err
	}
	if g.BmcsetupId, err = p.refer(catalog.Bmcsetup, "bmcsetup", t.Bmcsetup); err != nil {
		return err
	}
	if t.Interfaces == nil {
		g.Interfaces = []*inventoryv1.Interface{{Name: catalog.BootIf}}
		return nil
	}
	for _, i := range *t.Interfaces {
		made, err := p.card(&i)
		if err != nil {
			return err
		}
		g.Interfaces = append(g.Interfaces, made)
	}
	return nil
}

func (p *plan) card(t *blueprint.Interface) (*inventoryv1.Interface, error) {
	i := &inventoryv1.Interface{Name: t.Name, Options: t.Options, Mtu: t.Mtu}
	for _, name := range t.Networks {
		id, err := p.refer(catalog.Network, "interfaces: "+t.Name+": networks", name)
		if err != nil {
			return nil, err
		}
		if id == "" {
			return nil, fault.Invalidf("interfaces: %s: networks: a name is empty", t.Name)
		}
		i.NetworkIds = append(i.NetworkIds, id)
	}
	kinds := 0
	if t.Bond != nil {
		b := &inventoryv1.Bond{Members: t.Bond.Members, Mode: group.BondMode, Miimon: group.Miimon}
		change.Set(&b.Mode, t.Bond.Mode)
		change.Set(&b.Miimon, t.Bond.Miimon)
		i.MadeOf = &inventoryv1.Interface_Bond{Bond: b}
		kinds++
	}
	if t.Vlan != nil {
		i.MadeOf = &inventoryv1.Interface_Vlan{Vlan: &inventoryv1.Vlan{Parent: t.Vlan.Parent, Tag: t.Vlan.Tag}}
		kinds++
	}
	if t.Bridge != nil {
		i.MadeOf = &inventoryv1.Interface_Bridge{Bridge: &inventoryv1.Bridge{Ports: t.Bridge.Ports, Stp: t.Bridge.Stp}}
		kinds++
	}
	if kinds > 1 {
		return nil, fault.Invalidf("interfaces: %s is a bond, a VLAN or a bridge, not two of them", t.Name)
	}
	return i, nil
}

// follow adds the nodes that the text does not name and whose group it changes.
func (p *plan) follow() error {
	changed := map[string]bool{}
	for _, o := range p.of(catalog.Group) {
		changed[idOf(o.now)] = o.old != nil && !proto.Equal(o.old, o.now)
	}
	if p.Prune {
		return nil
	}
	return p.draft.Nodes(func(n *inventoryv1.Node) bool {
		if changed[n.GroupId] && p.byID[n.Id] == nil {
			p.add(&object{noun: catalog.Node, name: n.Name, old: n, now: proto.CloneOf(n)})
		}
		return true
	})
}
