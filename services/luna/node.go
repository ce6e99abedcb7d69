package luna

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
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
	return nounCommand(catalog.Node, "machines",
		a.changing(verb{noun: catalog.Node, verb: "add", short: "add a node; without a name one is made up", named: true, request: &inventoryv1.NodeAddRequest{},
			fields:  append([]field{{name: "count", usage: "how `many` nodes to add with made-up names"}, said}, shared...),
			example: "  luna node add -g compute\n  luna node add login1 -g login -m 52:54:00:00:00:01\n  luna node add -g compute --count 100"}),
		a.changing(verb{noun: catalog.Node, verb: "change", short: "change a node", named: true, needsName: true, request: &inventoryv1.NodeChangeRequest{}, texts: []longText{comment},
			fields:  append([]field{{name: "interface", short: "i", usage: "`interface` that gets the address of --ip (default BOOTIF)"}}, shared...),
			example: "  luna node change -n node001 --service y\n  luna node change node001 -m 52:54:00:00:00:01"}),
		a.showing(catalog.Node, a.nodeScript), a.listing(catalog.Node), a.renaming(catalog.Node), a.deleting(catalog.Node))
}

// nodeScript adds --script to node show.
func (a *app) nodeScript(cmd *cobra.Command) func(context.Context, string) (bool, error) {
	script := cmd.Flags().StringP("script", "s", "", "print the `script` that the node would get: boot or install")
	return func(ctx context.Context, name string) (bool, error) {
		if *script == "" {
			return false, nil
		}
		rep, err := ask(ctx, a, "bootscript", "script", "show", &bootscriptv1.ScriptRequest{Node: name, Script: *script}, &bootscriptv1.ScriptReply{})
		if err != nil {
			return true, err
		}
		_, err = fmt.Fprint(a.out, rep.Text)
		return true, err
	}
}
