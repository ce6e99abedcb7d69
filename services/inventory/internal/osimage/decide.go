// Package osimage decides about the descriptions of images; the packer looks
// after their files.
package osimage

import (
	"path"
	"strings"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// Defaults of a new image.
const (
	Dracutmodules   = inventoryv1.DefaultDracutmodules
	Kernmodules     = "ipmi_devintf,ipmi_si,ipmi_msghandler"
	GrabFilesystems = "/,/boot"
)

// Add makes an image's description.
func Add(d *change.Draft, r *inventoryv1.OsimageAddRequest) error {
	if err := d.NameTaken(catalog.Osimage, r.Name); err != nil {
		return err
	}
	o := &inventoryv1.Osimage{Id: change.NewID(), Name: r.Name, Path: r.Path, Head: r.Head, Kernver: r.Kernver,
		Kernopts: r.Kernopts, Comment: r.Comment, Dracutmodules: Dracutmodules, Kernmodules: Kernmodules, GrabFilesystems: GrabFilesystems}
	set([]given{{&o.Dracutmodules, r.Dracutmodules}, {&o.Kernmodules, r.Kernmodules},
		{&o.GrabExcludeList, r.GrabExcludeList}, {&o.GrabFilesystems, r.GrabFilesystems}})
	if err := Check(d, o); err != nil {
		return err
	}
	d.Put(o.Id, o)
	return nil
}

// given is a field and what a request gives for it; nil is nothing.
type given struct{ to, from *string }

func set(fields []given) {
	for _, f := range fields {
		if f.from != nil {
			*f.to = *f.from
		}
	}
}

// Check looks at the fields of an image, and that no other one has its directory.
func Check(d *change.Draft, o *inventoryv1.Osimage) error {
	for _, err := range []error{
		inventoryv1.CheckName(o.Name), inventoryv1.CheckLine("path", o.Path), inventoryv1.CheckKernver(o.Kernver),
		inventoryv1.CheckKernopts(o.Kernopts), inventoryv1.CheckLine("kernmodules", o.Kernmodules),
		inventoryv1.CheckLine("dracutmodules", o.Dracutmodules), inventoryv1.CheckLine("grab_filesystems", o.GrabFilesystems),
		inventoryv1.CheckText("grab_exclude_list", o.GrabExcludeList), inventoryv1.CheckText("comment", o.Comment),
	} {
		if err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	if o.Head != "" {
		if err := inventoryv1.CheckName(o.Head); err != nil {
			return fault.Invalidf("head: %w", err)
		}
	}
	if !strings.HasPrefix(o.Path, "/") || path.Clean(o.Path) == "/" {
		return fault.Invalidf("path %q must be an absolute directory below /", o.Path)
	}
	o.Path = path.Clean(o.Path)
	var other string
	err := d.Each(catalog.Osimage, "", func(x *inventoryv1.Object) bool {
		if i := x.GetOsimage(); i.Path == o.Path && i.Head == o.Head && i.Id != o.Id {
			other = i.Name
		}
		return other == ""
	})
	if err == nil && other != "" {
		err = fault.Conflictf("path %s belongs to osimage %s", o.Path, other)
	}
	return err
}

// Change sets fields of an image.
func Change(d *change.Draft, r *inventoryv1.OsimageChangeRequest) error {
	obj, err := d.Named(catalog.Osimage, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	o := obj.GetOsimage()
	set([]given{{&o.Path, r.Path}, {&o.Kernver, r.Kernver}, {&o.Kernopts, r.Kernopts}, {&o.Dracutmodules, r.Dracutmodules},
		{&o.Kernmodules, r.Kernmodules}, {&o.GrabExcludeList, r.GrabExcludeList}, {&o.GrabFilesystems, r.GrabFilesystems}, {&o.Comment, r.Comment}})
	if err := Check(d, o); err != nil {
		return err
	}
	d.Put(o.Id, o)
	return nil
}

// Delete removes an image's description when no group or node boots it; files stay.
func Delete(d *change.Draft, r *inventoryv1.DeleteRequest) error {
	obj, err := d.Named(catalog.Osimage, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	o := obj.GetOsimage()
	var user string
	err = d.Each(catalog.Group, "", func(x *inventoryv1.Object) bool {
		if x.GetGroup().OsimageId == o.Id {
			user = "group " + x.GetGroup().Name
		}
		return user == ""
	})
	if err != nil {
		return err
	}
	err = d.Nodes(func(n *inventoryv1.Node) bool {
		if user == "" && n.GetOsimageId() == o.Id {
			user = "node " + n.Name
		}
		return user == ""
	})
	if err != nil {
		return err
	}
	if user != "" {
		return fault.Conflictf("osimage %s is booted by %s", o.Name, user)
	}
	d.Delete(catalog.Osimage, o.Id, o.Name)
	return nil
}
