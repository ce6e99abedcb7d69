package luna

import (
	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) otherdevCommand() *cobra.Command {
	shared := []field{
		{name: "network", short: "N", usage: "`network` that the device has an address in"},
		{name: "ip", short: "i", usage: "`address` (default: a free one); an empty one gives it up"},
	}
	return nounCommand(catalog.Otherdev, "devices that only DNS knows",
		a.changing(verb{noun: catalog.Otherdev, verb: "add", short: "add a device", named: true, needsName: true, request: &inventoryv1.OtherdevAddRequest{},
			fields: append(needed(shared, "network"), said), example: "  luna otherdev add -n pdu01 -N ipmi -i 10.31.253.1"}),
		a.changing(verb{noun: catalog.Otherdev, verb: "change", short: "change a device's address in a network", named: true, needsName: true,
			request: &inventoryv1.OtherdevChangeRequest{}, fields: shared, texts: []longText{comment}, example: "  luna otherdev change pdu01 -N cluster -i 10.30.0.250"}),
		a.showing(catalog.Otherdev, nil), a.listing(catalog.Otherdev), a.renaming(catalog.Otherdev), a.deleting(catalog.Otherdev))
}
