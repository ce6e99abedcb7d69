package luna

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) groupCommand() *cobra.Command {
	return nounCommand(catalog.Group, "what nodes have in common",
		a.changing(verb{noun: catalog.Group, verb: "add", short: "add a group", named: true, needsName: true, request: &inventoryv1.GroupAddRequest{},
			example: "  luna group add -n compute -o compute -N cluster",
			fields: []field{
				{name: "osimage", short: "o", usage: "`osimage` that the nodes boot", needed: true},
				{name: "network", short: "N", usage: "`network` of BOOTIF", needed: true},
				{name: "bmcsetup", short: "b", usage: "`bmcsetup` of the nodes' controllers"},
				{name: "bmcnetwork", usage: "`network` of the nodes' controllers"},
				{name: "domain", short: "d", usage: "DNS `domain` (default: the network's name)"},
				{name: "root", usage: "`where` the root file system lies: tmpfs, disk or overlay (default: the partscript decides)"},
				said,
			}}),
		a.changing(verb{noun: catalog.Group, verb: "change", short: "change a group", named: true, needsName: true, request: &inventoryv1.GroupChangeRequest{}, texts: []longText{comment},
			example: "  luna group change -n compute --partscript -e\n  luna group change compute -i eth1 -A --setnet storage\n" +
				"  luna group change compute --bmcnetwork --setnet ipmi\n  luna group change compute -i bond0 -A --bond BOOTIF,eth1 --bond_mode 802.3ad",
			fields: []field{
				{name: "osimage", short: "o", usage: "`osimage` that the nodes boot"},
				{name: "domain", short: "d", usage: "DNS `domain`"},
				{name: "bmcsetup", short: "b", usage: "`bmcsetup` of the nodes' controllers"},
				{name: "root", usage: "`where` the root file system lies: tmpfs, disk or overlay; - lets the partscript decide"},
				{name: "torrent_if", usage: "`interface` for the torrent"},
				{name: "interface", short: "i", usage: "`interface` that the next flags are about"},
				{name: "setnet", usage: "`network` to give to the interface"},
				{name: "rename", into: "interface_rename", usage: "new `name` of the interface"},
				{name: "newname", into: "interface_rename", usage: "the same as --rename"},
				{name: "mtu", usage: "largest packet of the interface in `bytes`; 0 is the network's"},
				{name: "bond", usage: "`cards` that the interface joins, with commas"},
				{name: "bond_mode", usage: "`mode` of the bond (default active-backup)"},
				{name: "bond_miimon", usage: "`milliseconds` between looks at the bond's links (default 100)"},
				{name: "vlan", usage: "`interface` that the interface is a VLAN of"},
				{name: "vlan_tag", usage: "`number` of the VLAN, 1 to 4094"},
				{name: "bridge", usage: "`ports` that the interface bridges, with commas"},
				{name: "bridge_stp", usage: "speak the spanning tree protocol"},
			},
			more: a.groupExtras}),
		a.changing(verb{noun: catalog.Group, verb: "clone", short: "make a group like another", named: true, needsName: true, request: &inventoryv1.GroupCloneRequest{},
			fields: []field{{name: "to", short: "t", usage: "`name` of the new group", needed: true}}, example: "  luna group clone compute --to gpu"}),
		a.showing(catalog.Group, a.groupInterface, part{"osimage", "o", "osimage_id"}, part{"prescript", "", "prescript"}, part{"partscript", "", "partscript"},
			part{"postscript", "", "postscript"}, part{"bmcsetup", "b", "bmcsetup_id"}), a.listing(catalog.Group), a.renaming(catalog.Group), a.deleting(catalog.Group))
}

// groupInterface adds --interface to group show.
func (a *app) groupInterface(cmd *cobra.Command) func(context.Context, string) (bool, error) {
	name := cmd.Flags().StringP("interface", "i", "", "only this `interface` and its options")
	return func(ctx context.Context, group string) (bool, error) {
		if *name == "" {
			return false, nil
		}
		rep, err := ask(ctx, a, inventory, "group", "show", &inventoryv1.ShowRequest{Name: group}, &inventoryv1.ShowReply{})
		if err != nil {
			return true, err
		}
		for _, i := range rep.Object.GetGroup().GetInterfaces() {
			if i.Name == *name {
				_, err = fmt.Fprintln(a.out, interfaceText(i, rep.Names))
				return true, err
			}
		}
		return true, fault.NotFoundf("group %s has no interface %s", group, *name)
	}
}

// groupExtras adds the flags that are no plain fields: switches and edited texts.
func (a *app) groupExtras(cmd *cobra.Command) func(context.Context, proto.Message) error {
	f := cmd.Flags()
	add := f.BoolP("add", "A", false, "add the interface to every node of the group")
	remove := f.BoolP("delete", "D", false, "remove the interface")
	delnet := f.String("delnet", "", "take this `network` away from the interface; alone, every network")
	f.Lookup("delnet").NoOptDefVal = "*"
	controller := f.Bool("bmcnetwork", false, "make the interface BMC, for --setnet")
	edit := f.BoolP("edit", "e", false, "edit the named script, or the interface's options; a pipe is read instead")
	texts := []editable{
		{"prescript", f.Bool("prescript", false, "with -e: script before everything else")},
		{"partscript", f.Bool("partscript", false, "with -e: script that makes /sysroot")},
		{"postscript", f.Bool("postscript", false, "with -e: script at the end")},
	}
	return func(ctx context.Context, m proto.Message) error {
		req := m.(*inventoryv1.GroupChangeRequest)
		req.InterfaceAdd, req.InterfaceDelete, req.Delnet = *add, *remove, *delnet
		if *controller {
			if req.Interface != "" && req.Interface != catalog.BMC {
				return fault.Invalidf("--bmcnetwork is about the interface BMC, not %s", req.Interface)
			}
			req.Interface, req.InterfaceAdd = catalog.BMC, true
		}
		chosen := ""
		for _, t := range texts {
			if *t.on {
				chosen = t.field
			}
		}
		switch {
		case !*edit && chosen != "":
			return fault.Invalidf("--%s goes with -e: edit it, or give it by a pipe", chosen)
		case !*edit:
			return nil
		case chosen == "" && req.Interface != "":
			chosen = "options"
		case chosen == "":
			return fault.Invalidf("edit what? --prescript, --partscript, --postscript or --interface IF")
		}
		return a.editGroup(ctx, req, chosen)
	}
}

type editable struct {
	field string
	on    *bool
}

// editGroup puts the edited text into the request, with the revision it was read at.
func (a *app) editGroup(ctx context.Context, req *inventoryv1.GroupChangeRequest, what string) error {
	rep, err := ask(ctx, a, inventory, "group", "show", &inventoryv1.ShowRequest{Name: req.Name}, &inventoryv1.ShowReply{})
	if err != nil {
		return err
	}
	g := rep.Object.GetGroup()
	old := map[string]string{"prescript": g.Prescript, "partscript": g.Partscript, "postscript": g.Postscript, "options": options(g, req.Interface)}
	text, err := a.edit(ctx, what, old[what])
	if err != nil {
		return err
	}
	req.IfRevision = rep.Object.Sequence
	switch what {
	case "prescript":
		req.Prescript = &text
	case "partscript":
		req.Partscript = &text
	case "postscript":
		req.Postscript = &text
	default:
		req.Options = &text
	}
	return nil
}

func options(g *inventoryv1.Group, name string) string {
	for _, i := range g.Interfaces {
		if i.Name == name {
			return i.Options
		}
	}
	return ""
}
