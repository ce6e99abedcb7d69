package netfile

import "strings"

// create writes the commands of ip-link(8) that make an interface which is no
// card. ifupdown is told so, and not by bond-slaves, vlan-raw-device or
// bridge_ports, since an image often lacks the packages that read these, and
// that of VLANs cannot choose a name.
func (l *link) create(run func(format string, args ...any)) {
	if l.isCard() {
		return
	}
	// The bonding driver can make bond0, and ifupdown X.5, before.
	kind := map[bool]string{true: "bond", false: "bridge"}[l.Bond != nil]
	if v := l.VLAN; v != nil {
		run("ip link show dev $IFACE >/dev/null 2>&1 || ip link add link %s name $IFACE type vlan id %d", l.below[0].device, v.Tag)
		return
	}
	run("ip link show dev $IFACE >/dev/null 2>&1 || ip link add name $IFACE type %s", kind)
	switch {
	case l.Bond != nil:
		run("ip link set dev $IFACE type bond %s", joined(l.unprimed(), " "))
	case l.Bridge.STP:
		run("ip link set dev $IFACE type bridge stp_state 1")
	default:
		run("ip link set dev $IFACE type bridge stp_state 0 forward_delay 0")
	}
	if l.MAC != "" {
		run("ip link set dev $IFACE address %s", l.MAC)
	}
	for _, part := range l.below {
		part.enter(run)
	}
	if p := l.primary(); p != nil {
		run("ip link set dev $IFACE type bond primary %s", p.device)
	}
}

// enter makes an interface a part of the bond or the bridge $IFACE.
func (l *link) enter(run func(format string, args ...any)) {
	if !l.isCard() {
		// It has no stanza of its own.
		l.create(func(format string, args ...any) { run(strings.ReplaceAll(format, "$IFACE", l.device), args...) })
	}
	for _, c := range l.ethtool {
		run("ethtool %s %s %s", c.flag, l.device, strings.Join(c.args, " "))
	}
	if l.MTU > 0 {
		run("ip link set dev %s mtu %d", l.device, l.MTU)
	}
	if l.master.Bond != nil {
		run("ip link set dev %s down", l.device)
	}
	run("ip link set dev %s master $IFACE", l.device)
	run("ip link set dev %s up", l.device)
}

// unprimed are the driver's options but the primary, which must be a member before.
func (l *link) unprimed() []setting {
	var out []setting
	for _, s := range l.driver() {
		if s.key != "primary" {
			out = append(out, s)
		}
	}
	return out
}

// made names what create makes: the interface, and its parts that are no cards.
func (l *link) made() []string {
	if l.isCard() {
		return nil
	}
	names := []string{l.device}
	if l.VLAN != nil {
		return names
	}
	for _, part := range l.below {
		names = append(names, part.made()...)
	}
	return names
}
