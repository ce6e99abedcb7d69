package netfile

import "net/netip"

// none is the address that is none.
var none netip.Addr

// settings are what an operator's free options say beyond the typed interface.
type settings struct {
	// masterBond and masterBridge are names of what the interface is a part of.
	masterBond, masterBridge string
	infiniband               bool
	// connected is the mode of IP over InfiniBand, RFC 4755; datagram otherwise.
	connected bool
	// delay is a bridge's, in seconds.
	delay string
	// manual interfaces are not started with the system.
	manual bool
	// noGateway and noGateway6 keep the default routes off the interface.
	noGateway, noGateway6 bool
	// advertised tells whether router advertisements count; nil leaves that to the system.
	advertised *bool
	// bonding are options of the bonding driver but mode and miimon, in order.
	bonding []setting
	// ethtool are calls of ethtool(8).
	ethtool []ethtool
	// kept are lines that the manager itself understands.
	kept []string
	// carriesBoot tells that the boot card is a part of it.
	carriesBoot bool
}

// setting is one option with its value.
type setting struct{ key, value string }

// yesNo returns the word that many configuration files have for a truth.
func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
