package luna

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) networkCommand() *cobra.Command {
	shared := []field{
		{name: "network", short: "N", usage: "`address` of or in the network"},
		{name: "prefix", short: "P", usage: "length of the network's prefix in `bits`"},
		{name: "gateway", usage: "`address` of the default gateway"},
		{name: "nameservers", usage: "`addresses` of name servers, with commas"},
		{name: "ntp", usage: "`addresses` of time servers, with commas"},
		{name: "mtu", usage: "largest packet in `bytes`"},
		{name: "ns_hostname", usage: "`name` of the name server in the zone"},
		{name: "ns_ip", usage: "`address` of the name server in the zone"},
	}
	change := append([]field{
		{name: "reserve", short: "R", usage: "`address` that no node gets"},
		{name: "release", usage: "reserved `address` to give back"},
	}, shared...)
	return nounCommand(catalog.Network, "IP networks",
		a.changing(verb{noun: catalog.Network, verb: "add", short: "add a network", named: true, needsName: true, request: &inventoryv1.NetworkAddRequest{}, fields: append(needed(shared, "network"), said),
			example: "  luna network add -n cluster -N 10.30.0.0 -P 16 --gateway 10.30.255.254"}),
		a.changing(verb{noun: catalog.Network, verb: "change", short: "change a network", named: true, needsName: true, request: &inventoryv1.NetworkChangeRequest{}, fields: change,
			texts:   []longText{comment, {"include", "", "free text for the zone"}, {"rev_include", "", "free text for the reverse zone"}},
			example: "  luna network change cluster --gateway 10.30.255.254 --reserve 10.30.0.9"}),
		a.showing(catalog.Network, a.reservedIPs), a.listing(catalog.Network), a.renaming(catalog.Network), a.deleting(catalog.Network))
}

// reservedIPs adds --reservedips to network show.
func (a *app) reservedIPs(cmd *cobra.Command) func(context.Context, string) (bool, error) {
	only := cmd.Flags().BoolP("reservedips", "r", false, "only the reserved addresses")
	return func(ctx context.Context, name string) (bool, error) {
		if !*only {
			return false, nil
		}
		rep, err := ask(ctx, a, inventory, "network", "show", &inventoryv1.ShowRequest{Name: name}, &inventoryv1.ShowReply{})
		if err != nil {
			return true, err
		}
		for _, ip := range rep.Object.GetNetwork().GetReserved() {
			fmt.Fprintln(a.out, ip)
		}
		return true, nil
	}
}
