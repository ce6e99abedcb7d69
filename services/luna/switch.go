package luna

import (
	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) switchCommand() *cobra.Command {
	shared := []field{
		{name: "network", short: "N", usage: "`network` that the switch's address is in"},
		{name: "ip", short: "i", usage: "`address` of the switch"},
		{name: "read", short: "r", usage: "SNMP `community` that may read; without one the switch is not polled"},
		{name: "rw", short: "w", usage: "SNMP `community` that may write; kept, and not used"},
		{name: "oid", short: "o", usage: "`table` that gives a bridge port for each MAC (default .1.3.6.1.2.1.17.7.1.2.2.1.2)"},
		{name: "version", usage: "SNMP `version`: 2c (default) or 3"},
		{name: "user", usage: "`user` of SNMP version 3"},
		{name: "auth_protocol", usage: "`hash` of SNMP version 3: MD5, SHA, SHA224, SHA256, SHA384, SHA512"},
		{name: "auth_password", usage: "`password` of SNMP version 3"},
		{name: "priv_protocol", usage: "`cipher` of SNMP version 3: DES, AES, AES192, AES256"},
		{name: "priv_password", usage: "`password` for the cipher"},
		{name: "uplinks", usage: "`ports` to other switches, by name or number, with commas: ignored"},
	}
	return nounCommand(catalog.Switch, "Ethernet switches",
		a.changing(verb{noun: catalog.Switch, verb: "add", short: "add a switch", named: true, needsName: true, request: &inventoryv1.SwitchAddRequest{}, fields: append(needed(shared, "network", "ip"), said),
			example: "  luna switch add -n switch01 --network ipmi --ip 10.31.253.21 --read public"}),
		a.changing(verb{noun: catalog.Switch, verb: "change", short: "change a switch", named: true, needsName: true, request: &inventoryv1.SwitchChangeRequest{}, fields: shared, texts: []longText{comment},
			example: "  luna switch change switch01 --uplinks Te1/1,Te1/2"}),
		a.showing(catalog.Switch, nil), a.listing(catalog.Switch), a.renaming(catalog.Switch), a.deleting(catalog.Switch))
}
