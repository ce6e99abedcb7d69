package luna

import (
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// completeNames offers the names of a noun's objects to the shell.
func (a *app) completeNames(noun catalog.Noun) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || noun == catalog.Cluster {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all, _, err := a.list(cmd.Context(), noun, "")
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, o := range all {
			_, m := catalog.Unwrap(o)
			names = append(names, catalog.NameOf(m))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// refers tells which objects a flag names.
var refers = map[string]catalog.Noun{"network": catalog.Network, "setnet": catalog.Network, "bmcnetwork": catalog.Network, "osimage": catalog.Osimage,
	"bmcsetup": catalog.Bmcsetup, "switch": catalog.Switch, "group": catalog.Group, "of": catalog.Group}

// choices are the values that a flag has.
var choices = map[string][]string{"protocol": {"ipmi", "redfish"}, "root": inventoryv1.Roots, "version": {"2c", "3"}, "auth_protocol": {"MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512"},
	"priv_protocol": {"DES", "AES", "AES192", "AES256"}, "bond_mode": {"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}}

// completeFlags offers the values of flags to the shell: names of objects, choices, yes and no.
func (a *app) completeFlags(cmd *cobra.Command, flags []bound) {
	for _, b := range flags {
		words := choices[b.name]
		if b.desc.Kind() == protoreflect.BoolKind {
			words = []string{"yes", "no"}
		}
		noun := refers[b.name]
		if noun == "" && words == nil || noun == catalog.Network && cmd.Name() != "makedhcp" && b.desc.ContainingMessage().Fields().ByName("prefix") != nil {
			continue
		}
		err := cmd.RegisterFlagCompletionFunc(b.name, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			if noun == "" {
				return slices.Clone(words), cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeNames(noun)(cmd, nil, typed)
		})
		if err != nil {
			panic(err) // a flag has one completion
		}
	}
}
