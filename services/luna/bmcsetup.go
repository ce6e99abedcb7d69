package luna

import (
	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) bmcsetupCommand() *cobra.Command {
	shared := []field{
		{name: "user", short: "u", usage: "administrator's `name` at the controllers (default ladmin)"},
		{name: "password", short: "p", usage: "its `password`, at most 20 characters (default ladmin)"},
		{name: "userid", short: "I", usage: "`slot` of the user, 2 to 15 (default 3)"},
		{name: "netchannel", short: "N", usage: "`channel` that has the address (default 1)"},
		{name: "mgmtchannel", short: "M", usage: "`channel` of the user's rights (default 1)"},
		{name: "protocol", usage: "how controllers are spoken to: ipmi (default) or redfish"},
		{name: "required", usage: "end the installation when the controller cannot be set up"},
	}
	return nounCommand(catalog.Bmcsetup, "how management controllers are set up",
		a.changing(verb{noun: catalog.Bmcsetup, verb: "add", short: "add a BMC set-up", named: true, needsName: true, request: &inventoryv1.BmcsetupAddRequest{}, fields: append(shared, said),
			example: "  luna bmcsetup add -n base --user admin --password secret"}),
		a.changing(verb{noun: catalog.Bmcsetup, verb: "change", short: "change a BMC set-up", named: true, needsName: true, request: &inventoryv1.BmcsetupChangeRequest{}, fields: shared, texts: []longText{comment},
			example: "  luna bmcsetup change base --password secret2"}),
		a.showing(catalog.Bmcsetup, nil), a.listing(catalog.Bmcsetup), a.renaming(catalog.Bmcsetup), a.deleting(catalog.Bmcsetup))
}
