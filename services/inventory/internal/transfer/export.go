package transfer

import (
	"fmt"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/bmcsetup"
	"github.com/luna-hpc/luna/services/inventory/internal/group"
	"github.com/luna-hpc/luna/services/inventory/internal/netswitch"
	"github.com/luna-hpc/luna/services/inventory/internal/osimage"
)

// export makes a blueprint of a view.
type export struct {
	catalog.View
	b *blueprint.Blueprint
	// names of what others refer to, by id, and groups.
	names  map[string]string
	groups map[string]*inventoryv1.Group
}

// Export returns the blueprint of an inventory.
func Export(v catalog.View) (*blueprint.Blueprint, error) {
	e := &export{View: v, b: &blueprint.Blueprint{}, names: map[string]string{}, groups: map[string]*inventoryv1.Group{}}
	c, err := v.Cluster()
	if err != nil {
		return nil, err
	}
	if c != nil {
		e.b.Cluster = clusterText(c)
	}
	for _, noun := range nouns {
		err := v.Each(noun, "", func(o *inventoryv1.Object) bool { e.add(o); return true })
		if err != nil {
			return nil, err
		}
	}
	return e.b, nil
}

// add puts an object into the blueprint, after those that it refers to.
func (e *export) add(o *inventoryv1.Object) {
	_, m := catalog.Unwrap(o)
	e.names[idOf(m)] = catalog.NameOf(m)
	place := blueprint.Place{Name: catalog.NameOf(m)}
	switch m := m.(type) {
	case *inventoryv1.Network:
		e.b.Networks = append(e.b.Networks, networkText(place, m))
	case *inventoryv1.Osimage:
		e.b.Osimages = append(e.b.Osimages, blueprint.Osimage{Place: place, Path: m.Path, Head: m.Head, Kernver: m.Kernver, Kernopts: m.Kernopts,
			Kernmodules: unless(m.Kernmodules, osimage.Kernmodules), Dracutmodules: unless(m.Dracutmodules, osimage.Dracutmodules),
			GrabFilesystems: unless(m.GrabFilesystems, osimage.GrabFilesystems), GrabExcludeList: m.GrabExcludeList, Comment: m.Comment})
	case *inventoryv1.Bmcsetup:
		e.b.Bmcsetups = append(e.b.Bmcsetups, blueprint.Bmcsetup{Place: place, User: &m.User, Password: stars(m.PasswordId), Userid: &m.Userid,
			Netchannel: unless(m.Netchannel, bmcsetup.Channel), Mgmtchannel: unless(m.Mgmtchannel, bmcsetup.Channel),
			Protocol: &m.Protocol, Required: m.Required, Comment: m.Comment})
	case *inventoryv1.Switch:
		e.b.Switches = append(e.b.Switches, blueprint.Switch{Place: place, Network: e.names[m.NetworkId], IP: m.Ip, Read: stars(m.ReadId), Rw: stars(m.RwId),
			Oid: unless(m.Oid, netswitch.OID), Version: &m.Version, User: m.User, AuthProtocol: m.AuthProtocol, AuthPassword: stars(m.AuthId),
			PrivProtocol: m.PrivProtocol, PrivPassword: stars(m.PrivId), Uplinks: m.Uplinks, Comment: m.Comment})
	case *inventoryv1.Otherdev:
		addresses := map[string]string{}
		for _, a := range m.Addresses {
			addresses[e.names[a.NetworkId]] = a.Address
		}
		e.b.Otherdevs = append(e.b.Otherdevs, blueprint.Otherdev{Place: place, Addresses: addresses, Comment: m.Comment})
	case *inventoryv1.Group:
		e.groups[m.Id] = m
		e.b.Groups = append(e.b.Groups, e.groupText(place, m))
	case *inventoryv1.Node:
		e.b.Nodes = append(e.b.Nodes, e.nodeText(place, m))
	}
}

// unless leaves out what a new object has anyway.
func unless[T comparable](value, usual T) *T {
	if value == usual {
		return nil
	}
	return &value
}

// filled leaves out an empty text.
func filled(text string) *string { return unless(text, "") }

func stars(id string) string {
	if id == "" {
		return ""
	}
	return blueprint.Kept
}

func clusterText(c *inventoryv1.Cluster) *blueprint.Cluster {
	return &blueprint.Cluster{FrontendAddress: c.FrontendAddress, ClusterIps: c.ClusterIps, Nodeprefix: &c.Nodeprefix, Nodedigits: &c.Nodedigits,
		Path: &c.Path, User: &c.User, FrontendPort: &c.FrontendPort, ServerPort: &c.ServerPort, TrackerInterval: &c.TrackerInterval,
		TrackerMinInterval: &c.TrackerMinInterval, TrackerMaxpeers: &c.TrackerMaxpeers, TorrentListenPortMin: &c.TorrentListenPortMin,
		TorrentListenPortMax: &c.TorrentListenPortMax, MenuWait: &c.MenuWait, Comment: c.Comment}
}

func networkText(place blueprint.Place, n *inventoryv1.Network) blueprint.Network {
	t := blueprint.Network{Place: place, Network: n.Cidr, Gateway: n.Gateway, Nameservers: n.Nameservers, Ntp: n.Ntp, Mtu: n.Mtu,
		NsHostname: n.NsHostname, NsIP: n.NsIp, Reserved: n.Reserved, Include: n.Include, RevInclude: n.RevInclude, Comment: n.Comment}
	if n.DhcpRange != nil {
		t.DhcpRange = &blueprint.Range{Start: n.DhcpRange.Start, End: n.DhcpRange.End}
	}
	return t
}

func (e *export) groupText(place blueprint.Place, g *inventoryv1.Group) blueprint.Group {
	cards := []blueprint.Interface{}
	for _, i := range g.Interfaces {
		t := blueprint.Interface{Name: i.Name, Mtu: i.Mtu, Options: i.Options}
		for _, id := range i.NetworkIds {
			t.Networks = append(t.Networks, e.names[id])
		}
		if b := i.GetBond(); b != nil {
			t.Bond = &blueprint.Bond{Members: b.Members, Mode: &b.Mode, Miimon: &b.Miimon}
		}
		if v := i.GetVlan(); v != nil {
			t.Vlan = &blueprint.Vlan{Parent: v.Parent, Tag: v.Tag}
		}
		if b := i.GetBridge(); b != nil {
			t.Bridge = &blueprint.Bridge{Ports: b.Ports, Stp: b.Stp}
		}
		cards = append(cards, t)
	}
	return blueprint.Group{Place: place, Osimage: e.names[g.OsimageId], Bmcsetup: e.names[g.BmcsetupId], Domain: g.Domain, TorrentIf: g.TorrentIf,
		Interfaces: &cards, Prescript: g.Prescript, Partscript: unless(g.Partscript, group.Partscript),
		Postscript: unless(g.Postscript, group.Postscript), Root: g.Root, Comment: g.Comment}
}

func (e *export) nodeText(place blueprint.Place, n *inventoryv1.Node) blueprint.Node {
	t := blueprint.Node{Place: place, Group: e.names[n.GroupId], Mac: filled(n.Mac), Switch: e.names[n.SwitchId], Port: n.Port, Localboot: n.Localboot,
		Setupbmc: n.Setupbmc, Service: n.Service, Kernopts: n.Kernopts, Prescript: n.Prescript, Partscript: n.Partscript,
		Postscript: n.Postscript, Comment: n.Comment, Addresses: map[string]blueprint.List{}}
	if n.OsimageId != nil {
		name := e.names[*n.OsimageId]
		t.Osimage = &name
	}
	order := map[string]int{}
	for k, i := range e.groups[n.GroupId].GetInterfaces() {
		for j, id := range i.NetworkIds {
			order[fmt.Sprint(i.Name, " ", id)] = k<<16 | j
		}
	}
	for _, a := range sortedBy(n.Addresses, func(a *inventoryv1.NodeAddress) int { return order[fmt.Sprint(a.Interface, " ", a.NetworkId)] }) {
		t.Addresses[a.Interface] = append(t.Addresses[a.Interface], a.Address)
	}
	return t
}
