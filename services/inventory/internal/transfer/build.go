package transfer

import (
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/cluster"
	"github.com/luna-hpc/luna/services/inventory/internal/network"
	"github.com/luna-hpc/luna/services/inventory/internal/osimage"
)

// build makes the objects that the text says, without their addresses.
func (p *plan) build() error {
	if err := p.buildCluster(); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return each(p, catalog.Network, p.text.Networks, p.network) },
		func() error { return each(p, catalog.Osimage, p.text.Osimages, p.osimage) },
		func() error { return each(p, catalog.Bmcsetup, p.text.Bmcsetups, p.bmcsetup) },
		func() error { return each(p, catalog.Switch, p.text.Switches, p.netswitch) },
		func() error { return each(p, catalog.Otherdev, p.text.Otherdevs, p.otherdev) },
		func() error { return each(p, catalog.Group, p.text.Groups, p.groupOf) },
		func() error { return each(p, catalog.Node, p.text.Nodes, p.node) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type placed interface{ At() blueprint.Place }

// each makes the objects of one kind.
func each[T placed](p *plan, noun catalog.Noun, texts []T, do func(o *object, id string, t *T) error) error {
	for i := range texts {
		at := texts[i].At()
		o := &object{noun: noun, name: at.Name, line: at.Line}
		id := p.ids[noun][at.Name]
		old, err := p.was(noun, id)
		if err != nil {
			return err
		}
		o.old = old
		if err := do(o, id, &texts[i]); err != nil {
			if err = p.bad(o, err); err != nil {
				return err
			}
			continue
		}
		p.add(o)
	}
	return nil
}

// oldOf returns an object as it is; an empty one when it is new.
func oldOf[M proto.Message](o *object) (old M) {
	if m, ok := o.old.(M); ok {
		return m
	}
	return old.ProtoReflect().New().Interface().(M)
}

func (p *plan) buildCluster() error {
	t := p.text.Cluster
	if t == nil {
		return nil
	}
	o := &object{noun: catalog.Cluster, name: string(catalog.Cluster), line: t.Line}
	c, err := p.draft.Cluster()
	if err != nil {
		return err
	}
	now := cluster.Defaults()
	if c != nil {
		o.old, now.Id, now.TokenKeyId = c, c.Id, c.TokenKeyId
	} else {
		now = cluster.New(p.draft)
	}
	o.now = now
	now.FrontendAddress, now.Comment = t.FrontendAddress, t.Comment
	change.Set(&now.Nodeprefix, t.Nodeprefix)
	change.Set(&now.Nodedigits, t.Nodedigits)
	change.Set(&now.Path, t.Path)
	change.Set(&now.User, t.User)
	change.Set(&now.FrontendPort, t.FrontendPort)
	change.Set(&now.ServerPort, t.ServerPort)
	change.Set(&now.TrackerInterval, t.TrackerInterval)
	change.Set(&now.TrackerMinInterval, t.TrackerMinInterval)
	change.Set(&now.TrackerMaxpeers, t.TrackerMaxpeers)
	change.Set(&now.TorrentListenPortMin, t.TorrentListenPortMin)
	change.Set(&now.TorrentListenPortMax, t.TorrentListenPortMax)
	change.Set(&now.MenuWait, t.MenuWait)
	if now.ClusterIps, err = addresses("cluster_ips", t.ClusterIps); err != nil {
		return p.bad(o, err)
	}
	p.add(o)
	return nil
}

// addresses spells addresses in one way.
func addresses(what string, texts []string) ([]string, error) {
	all, err := inventoryv1.ParseAddresses(what, strings.Join(texts, ","))
	if err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	return all, nil
}

func (p *plan) network(o *object, id string, t *blueprint.Network) error {
	prefix, err := network.Prefix(t.Network, 0)
	if err != nil {
		return err
	}
	n := &inventoryv1.Network{Id: id, Name: o.name, Cidr: prefix.String(), Gateway: t.Gateway, Mtu: t.Mtu,
		NsHostname: t.NsHostname, NsIp: t.NsIP, Include: t.Include, RevInclude: t.RevInclude, Comment: t.Comment}
	if t.DhcpRange != nil {
		n.DhcpRange = &inventoryv1.AddressRange{Start: t.DhcpRange.Start, End: t.DhcpRange.End}
	}
	for _, l := range []struct {
		what string
		from []string
		to   *[]string
	}{{"nameservers", t.Nameservers, &n.Nameservers}, {"ntp", t.Ntp, &n.Ntp}, {"reserved", t.Reserved, &n.Reserved}} {
		if *l.to, err = addresses(l.what, l.from); err != nil {
			return err
		}
	}
	o.now = n
	return nil
}

func (p *plan) osimage(o *object, id string, t *blueprint.Osimage) error {
	old := oldOf[*inventoryv1.Osimage](o)
	i := &inventoryv1.Osimage{Id: id, Name: o.name, Path: path.Clean(t.Path), Head: t.Head, Kernver: t.Kernver, Kernopts: t.Kernopts,
		Kernmodules: osimage.Kernmodules, Dracutmodules: osimage.Dracutmodules, GrabFilesystems: osimage.GrabFilesystems,
		GrabExcludeList: t.GrabExcludeList, Comment: t.Comment}
	change.Set(&i.Kernmodules, t.Kernmodules)
	change.Set(&i.Dracutmodules, t.Dracutmodules)
	change.Set(&i.GrabFilesystems, t.GrabFilesystems)
	if i.Head == "" {
		i.Head = old.Head
	}
	if i.Head == "" && o.old == nil {
		i.Head = p.Head
	}
	if i.Kernver == "" {
		i.Kernver = old.Kernver
	}
	o.now = i
	return nil
}

func (p *plan) otherdev(o *object, id string, t *blueprint.Otherdev) error {
	o.now = &inventoryv1.Otherdev{Id: id, Name: o.name, Comment: t.Comment}
	for _, name := range sorted(t.Addresses) {
		if t.Addresses[name] == "" {
			o.wants = append(o.wants, want{network: name})
			continue
		}
		if err := o.want("addresses: "+name, "", name, t.Addresses[name]); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) node(o *object, id string, t *blueprint.Node) (err error) {
	if t.Group == "" {
		return fault.Invalidf("group: a node needs a group")
	}
	old := oldOf[*inventoryv1.Node](o)
	n := &inventoryv1.Node{Id: id, Name: o.name, Mac: old.Mac, Port: t.Port, Localboot: t.Localboot, Setupbmc: t.Setupbmc,
		Service: t.Service, Comment: t.Comment, Kernopts: t.Kernopts, Prescript: t.Prescript, Partscript: t.Partscript, Postscript: t.Postscript}
	o.now = n
	if t.Mac != nil {
		n.Mac = *t.Mac
	}
	if n.Mac != "" {
		if n.Mac, err = inventoryv1.ParseMAC(n.Mac); err != nil {
			return fault.Invalidf("mac: %w", err)
		}
	}
	if n.GroupId, err = p.refer(catalog.Group, "group", t.Group); err != nil {
		return err
	}
	if n.SwitchId, err = p.refer(catalog.Switch, "switch", t.Switch); err != nil {
		return err
	}
	if t.Osimage != nil {
		image, err := p.refer(catalog.Osimage, "osimage", *t.Osimage)
		if err != nil {
			return err
		}
		if image == "" {
			return fault.Invalidf("osimage: leave it out for that of the group")
		}
		n.OsimageId = &image
	}
	for _, name := range sorted(t.Addresses) {
		for _, text := range t.Addresses[name] {
			if err := o.want("addresses: "+name, name, "", text); err != nil {
				return err
			}
		}
	}
	return nil
}
