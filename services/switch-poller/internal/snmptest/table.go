package snmptest

import (
	"fmt"

	"github.com/gosnmp/gosnmp"

	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
)

// Port gives the switch a port: its bridge number, its interface and that one's name.
func (s *Switch) Port(number, index int, name string) {
	s.Set(fmt.Sprintf("%s.%d", fdb.BasePort, number), gosnmp.Integer, index)
	s.Set(fmt.Sprintf("%s.%d", fdb.IfName, index), gosnmp.OctetString, name)
}

// Learn puts a MAC at a bridge port of a VLAN, which is its FDB's id too, with a status (3 is learned).
func (s *Switch) Learn(vlan int, mac fdb.MAC, port, status int) {
	s.Set(fmt.Sprintf("%s.%d.%s", fdb.QBridgePort, vlan, dotted(mac)), gosnmp.Integer, port)
	s.Set(fmt.Sprintf("%s.%d.%s", fdb.QBridgeStatus, vlan, dotted(mac)), gosnmp.Integer, status)
}

// Forget takes a MAC out of a VLAN.
func (s *Switch) Forget(vlan int, mac fdb.MAC) {
	s.Set(fmt.Sprintf("%s.%d.%s", fdb.QBridgePort, vlan, dotted(mac)), gosnmp.Null, nil)
	s.Set(fmt.Sprintf("%s.%d.%s", fdb.QBridgeStatus, vlan, dotted(mac)), gosnmp.Null, nil)
}

func dotted(m fdb.MAC) string {
	return fmt.Sprintf("%d.%d.%d.%d.%d.%d", m[0], m[1], m[2], m[3], m[4], m[5])
}
