package netfile

import (
	"fmt"
	"strings"
)

const networkdDir = "etc/systemd/network"

// networkd writes a .network file for each interface, systemd.network(5), and a
// .netdev file for each that is no card, systemd.netdev(5). The names come first
// in the order of files, so that no other file matches before.
func (j *job) networkd() error {
	const prefix = "00-luna-"
	keep := map[string]bool{}
	put := func(name, text string) error {
		keep[name] = true
		return j.put(networkdDir+"/"+name, text, 0o644)
	}
	for _, l := range j.links {
		if err := put(prefix+l.Name+".network", j.networkFile(l)); err != nil {
			return err
		}
		if l.isCard() {
			continue
		}
		if err := put(prefix+l.Name+".netdev", netdevFile(l)); err != nil {
			return err
		}
	}
	return j.prune(networkdDir, func(name string) bool { return strings.HasPrefix(name, prefix) }, keep)
}

func (j *job) networkFile(l *link) string {
	var b strings.Builder
	b.WriteString(head + "[Match]\n")
	switch {
	case l.byMAC() && l.master != nil && l.master.Bond != nil:
		// A bond gives its own MAC to all members.
		fmt.Fprintf(&b, "PermanentMACAddress=%s\nType=ether\n", l.MAC)
	case l.byMAC():
		// With the type, since bonds and VLANs have the MAC of a card too.
		fmt.Fprintf(&b, "MACAddress=%s\nType=ether\n", l.MAC)
	default:
		fmt.Fprintf(&b, "Name=%s\n", l.device)
	}
	linkSection(&b, l)
	if l.connected {
		b.WriteString("\n[IPoIB]\nMode=connected\n")
	}
	b.WriteString("\n[Network]\n")
	for _, v := range vlans(j.links, l) {
		fmt.Fprintf(&b, "VLAN=%s\n", v.device)
	}
	if l.master != nil {
		memberOf(&b, l)
		return b.String()
	}
	j.addressing(&b, l)
	return b.String()
}

func linkSection(b *strings.Builder, l *link) {
	if l.MTU == 0 && !l.manual {
		return
	}
	b.WriteString("\n[Link]\n")
	if l.MTU > 0 {
		fmt.Fprintf(b, "MTUBytes=%d\n", l.MTU)
	}
	if l.manual {
		b.WriteString("ActivationPolicy=manual\nRequiredForOnline=no\n")
	}
}

// memberOf writes what a part of a bond or a bridge has instead of addresses.
func memberOf(b *strings.Builder, l *link) {
	kind := "Bridge"
	if l.master.Bond != nil {
		kind = "Bond"
	}
	fmt.Fprintf(b, "%s=%s\n", kind, l.master.device)
	if l.master.primary() == l {
		b.WriteString("PrimarySlave=yes\n")
	}
	b.WriteString("LinkLocalAddressing=no\n")
}

func (j *job) addressing(b *strings.Builder, l *link) {
	for _, a := range l.Addresses {
		fmt.Fprintf(b, "Address=%s\n", a)
	}
	for _, g := range l.gateways() {
		fmt.Fprintf(b, "Gateway=%s\n", g)
	}
	if l.advertised != nil {
		fmt.Fprintf(b, "IPv6AcceptRA=%s\n", yesNo(*l.advertised))
	}
	if len(l.Addresses) == 0 {
		return
	}
	for _, a := range j.DNS {
		fmt.Fprintf(b, "DNS=%s\n", a)
	}
	if len(j.Search) > 0 {
		fmt.Fprintf(b, "Domains=%s\n", strings.Join(j.Search, " "))
	}
}

func netdevFile(l *link) string {
	var b strings.Builder
	b.WriteString(head + "[NetDev]\nName=" + l.device + "\n")
	switch {
	case l.Bond != nil:
		b.WriteString("Kind=bond\n")
		addressOf(&b, l)
		b.WriteString("\n[Bond]\nMode=" + l.Bond.Mode + "\n")
		if l.Bond.MIIMon > 0 {
			fmt.Fprintf(&b, "MIIMonitorSec=%dms\n", l.Bond.MIIMon)
		}
		for _, s := range l.bonding {
			bondLine(&b, s)
		}
	case l.VLAN != nil:
		fmt.Fprintf(&b, "Kind=vlan\n\n[VLAN]\nId=%d\n", l.VLAN.Tag)
	case l.Bridge != nil:
		b.WriteString("Kind=bridge\n")
		addressOf(&b, l)
		fmt.Fprintf(&b, "\n[Bridge]\nSTP=%s\n", yesNo(l.Bridge.STP))
	}
	return b.String()
}

func addressOf(b *strings.Builder, l *link) {
	if l.MAC != "" {
		fmt.Fprintf(b, "MACAddress=%s\n", l.MAC)
	}
}

func bondLine(b *strings.Builder, s setting) {
	o := bondOptions[s.key]
	value := s.value
	switch {
	case o.networkd == "":
		return // The primary, which the member's own file names.
	case o.milliseconds:
		value += "ms"
	case o.truth:
		value = yesNo(isYes(value))
	case s.key == "arp_ip_target":
		value = strings.ReplaceAll(value, ",", " ")
	}
	fmt.Fprintf(b, "%s=%s\n", o.networkd, value)
}
