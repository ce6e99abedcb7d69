// Package group decides about groups and the interfaces of their nodes.
package group

import (
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// Scripts of a new group: diskless, with most of the memory, and the fstab that fits.
const (
	Partscript = "mount -t tmpfs -o size=90%,mode=0755 tmpfs /sysroot\n"
	Postscript = "echo 'tmpfs / tmpfs size=90%,mode=0755 0 0' > /sysroot/etc/fstab\n"
)

// Add makes a group.
func Add(d *change.Draft, r *inventoryv1.GroupAddRequest) error {
	if err := d.NameTaken(catalog.Group, r.Name); err != nil {
		return err
	}
	g := &inventoryv1.Group{Id: change.NewID(), Name: r.Name, Domain: r.Domain, Comment: r.Comment,
		Partscript: Partscript, Postscript: Postscript}
	change.Set(&g.Prescript, r.Prescript)
	change.Set(&g.Partscript, r.Partscript)
	change.Set(&g.Postscript, r.Postscript)
	var err error
	if g.Root, err = root(r.Root); err != nil {
		return err
	}
	if g.OsimageId, err = osimageID(d, r.Osimage); err != nil {
		return err
	}
	if g.BmcsetupId, err = bmcsetupID(d, r.Bmcsetup); err != nil {
		return err
	}
	g.Interfaces = []*inventoryv1.Interface{{Name: catalog.BootIf}}
	if r.Network != "" {
		if err := join(d, g.Interfaces[0], r.Network); err != nil {
			return err
		}
	}
	if r.Bmcnetwork != "" {
		controller := &inventoryv1.Interface{Name: catalog.BMC}
		if err := join(d, controller, r.Bmcnetwork); err != nil {
			return err
		}
		g.Interfaces = append(g.Interfaces, controller)
	}
	if err := Check(g); err != nil {
		return err
	}
	d.Put(g.Id, g)
	return nil
}

func root(text string) (string, error) {
	root, err := inventoryv1.ParseRoot(text)
	if err != nil {
		return "", fault.Invalidf("%w", err)
	}
	return root, nil
}

func osimageID(d *change.Draft, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	o, err := d.Named(catalog.Osimage, name, 0)
	return o.GetOsimage().GetId(), err
}

func bmcsetupID(d *change.Draft, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	o, err := d.Named(catalog.Bmcsetup, name, 0)
	return o.GetBmcsetup().GetId(), err
}

// Check looks at the fields of a group.
func Check(g *inventoryv1.Group) error {
	if err := inventoryv1.CheckName(g.Name); err != nil {
		return fault.Invalidf("%w", err)
	}
	if g.Domain != "" {
		if err := inventoryv1.CheckDomain(g.Domain); err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	if _, err := root(g.Root); err != nil {
		return err
	}
	if g.TorrentIf != "" {
		if err := inventoryv1.CheckInterface(g.TorrentIf); err != nil {
			return fault.Invalidf("torrent_if: %w", err)
		}
	}
	for what, text := range map[string]string{"prescript": g.Prescript, "partscript": g.Partscript, "postscript": g.Postscript, "comment": g.Comment} {
		if err := inventoryv1.CheckText(what, text); err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	return nil
}

// Change sets fields of a group, or of one of its interfaces.
func Change(d *change.Draft, r *inventoryv1.GroupChangeRequest) error {
	o, err := d.Named(catalog.Group, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	g := o.GetGroup()
	change.Set(&g.Domain, r.Domain)
	change.Set(&g.Prescript, r.Prescript)
	change.Set(&g.Partscript, r.Partscript)
	change.Set(&g.Postscript, r.Postscript)
	change.Set(&g.TorrentIf, r.TorrentIf)
	change.Set(&g.Comment, r.Comment)
	if r.Root != nil {
		if g.Root, err = root(*r.Root); err != nil {
			return err
		}
	}
	if r.Osimage != nil {
		if g.OsimageId, err = osimageID(d, *r.Osimage); err != nil {
			return err
		}
	}
	if r.Bmcsetup != nil {
		if g.BmcsetupId, err = bmcsetupID(d, *r.Bmcsetup); err != nil {
			return err
		}
	}
	if err := Check(g); err != nil {
		return err
	}
	if err := changeInterface(d, g, r); err != nil {
		return err
	}
	if proto.Equal(g, mustGroup(d, g.Id)) && d.Empty() {
		if r.InterfaceAdd {
			d.Note("interface %s is already there", r.Interface)
		}
		return nil
	}
	d.Put(g.Id, g)
	return nil
}

// mustGroup returns the group as it is; nil never equals.
func mustGroup(d *change.Draft, id string) *inventoryv1.Group {
	g, err := d.Group(id)
	if err != nil {
		return nil
	}
	return g
}

// Clone makes a group like another, without its nodes.
func Clone(d *change.Draft, r *inventoryv1.GroupCloneRequest) error {
	o, err := d.Named(catalog.Group, r.Name, 0)
	if err != nil {
		return err
	}
	if err := d.NameTaken(catalog.Group, r.To); err != nil {
		return err
	}
	g := o.GetGroup()
	g.Id, g.Name = change.NewID(), r.To
	if err := Check(g); err != nil {
		return err
	}
	d.Put(g.Id, g)
	return nil
}

// Delete removes a group that has no nodes.
func Delete(d *change.Draft, r *inventoryv1.DeleteRequest) error {
	o, err := d.Named(catalog.Group, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	g := o.GetGroup()
	var user string
	err = d.Nodes(func(n *inventoryv1.Node) bool {
		if n.GroupId == g.Id {
			user = n.Name
		}
		return user == ""
	})
	if err != nil {
		return err
	}
	if user != "" {
		return fault.Conflictf("group %s has nodes, such as %s", g.Name, user)
	}
	d.Delete(catalog.Group, g.Id, g.Name)
	return nil
}
