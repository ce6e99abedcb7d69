package luna

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) nodeCommand() *cobra.Command {
	shared := []field{
		{name: "group", short: "g", usage: "`group` of the node"},
		{name: "mac", short: "m", usage: "`MAC` that the node boots from"},
		{name: "switch", short: "s", usage: "`switch` that the node is on"},
		{name: "port", short: "p", usage: "`port` of the switch that the node is on"},
		{name: "localboot", short: "l", usage: "boot from the local disk"},
		{name: "setupbmc", usage: "configure the BMC when booting"},
		{name: "service", usage: "stop at a shell instead of installing"},
		{name: "ip", usage: "`address` of the interface (default: a free one)"},
		{name: "bmcip", usage: "`address` of the controller (default: a free one)"},
	}
	changed := append([]field{ofGroup,
		{name: "osimage", short: "o", usage: "`osimage` in place of the group's"},
		{name: "kernopts", usage: "kernel `options` in place of the osimage's"},
		{name: "inherit", usage: "`fields` to have from the group again, with commas: osimage, kernopts, prescript, partscript, postscript"},
		{name: "interface", short: "i", usage: "`interface` that gets the address of --ip (default BOOTIF)"},
	}, shared...)
	scripts := []longText{comment}
	for _, name := range []string{"prescript", "partscript", "postscript"} {
		scripts = append(scripts, longText{name, "", "script in place of the group's: edit it, or read it from a pipe"})
	}
	return nounCommand(catalog.Node, "machines",
		a.changing(verb{noun: catalog.Node, verb: "add", short: "add a node, or those of a host list; without a name one is made up", named: true, request: &inventoryv1.NodeAddRequest{},
			fields:  append([]field{{name: "count", usage: "how `many` nodes to add with made-up names"}, said}, needed(shared, "group")...),
			example: "  luna node add -g compute\n  luna node add login1 -g login -m 52:54:00:00:00:01\n  luna node add -g compute --count 100"}),
		a.changing(verb{noun: catalog.Node, verb: "change", short: "change a node, or those of a host list", named: true, request: &inventoryv1.NodeChangeRequest{},
			texts: scripts, fields: changed, more: allNodes,
			example: "  luna node change -n node001 --service y\n  luna node change node001 -m 52:54:00:00:00:01\n" +
				"  luna node change node[001-016,020] --localboot y\n  luna node change --of compute --service n"}),
		a.showing(catalog.Node, a.nodeMore), a.listing(catalog.Node), a.renaming(catalog.Node), a.nodeDeleting(), a.explainCommand())
}

// explainCommand tells where a node's values come from.
func (a *app) explainCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "explain NAME", Short: "tell where each value of a node comes from", ValidArgsFunction: a.completeNames(catalog.Node),
		Example: "  luna node explain node042"}
	name := nameFlag(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := name(args)
		if err != nil {
			return err
		}
		rep, err := ask(cmd.Context(), a, inventory, "node", "explain", &inventoryv1.NameRequest{Name: n}, &inventoryv1.ExplainReply{})
		if err != nil {
			return err
		}
		a.warnOld(rep.MayBeOld)
		if a.output != "table" {
			return a.print(rep)
		}
		t := a.newTable("field", "value", "from")
		for _, v := range rep.Values {
			t.AppendRow([]any{v.Field, strings.TrimRight(v.Value, "\n"), v.From})
		}
		t.Render()
		return nil
	}
	return cmd
}

// ofGroup chooses nodes by their group.
var ofGroup = field{name: "of", usage: "all nodes of this `group`, in place of a name"}

// allNodes adds --all.
func allNodes(cmd *cobra.Command) func(context.Context, proto.Message) error {
	all := cmd.Flags().Bool("all", false, "all nodes, in place of a name")
	return func(_ context.Context, m proto.Message) error {
		set(m, "all", protoreflect.ValueOfBool(*all))
		return nil
	}
}

func (a *app) nodeDeleting() *cobra.Command {
	return a.changing(verb{noun: catalog.Node, verb: "delete", short: "remove a node, or those of a host list; files are never touched", named: true,
		request: &inventoryv1.NodeDeleteRequest{}, fields: []field{{name: "group", short: "g", into: "of", usage: "all nodes of this `group`, in place of a name"}},
		example: "  luna node delete node[010-012]", more: allNodes})
}

// nodeMore adds --script and --hardware to node show.
func (a *app) nodeMore(cmd *cobra.Command) func(context.Context, string) (bool, error) {
	script := cmd.Flags().StringP("script", "s", "", "print the `script` that the node would get: boot or install")
	machine := cmd.Flags().Bool("hardware", false, "tell what was found in the machine when it booted, and what became different")
	return func(ctx context.Context, name string) (bool, error) {
		switch {
		case *script != "" && *machine:
			return true, fault.Invalidf("--script and --hardware are two questions: ask one")
		case *script != "":
			return true, a.showScript(ctx, name, *script)
		case *machine:
			return true, a.showHardware(ctx, name)
		}
		return false, nil
	}
}

func (a *app) showScript(ctx context.Context, name, script string) error {
	rep, err := ask(ctx, a, bootscript, "script", "show", &bootscriptv1.ScriptRequest{Node: name, Script: script}, &bootscriptv1.ScriptReply{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, rep.Text)
	return err
}
