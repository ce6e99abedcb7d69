package netfile

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

const (
	wickedDir = "etc/sysconfig/network"
	// netconfigFile has what netconfig(8) writes into resolv.conf.
	netconfigFile = wickedDir + "/config"
)

// wickedKeys begin the keys of SUSE's ifcfg(5) that no other ifcfg file has; the
// operator's text may use them.
var wickedKeys = []string{
	"STARTMODE", "LINK_REQUIRED", "LINK_READY_WAIT", "FIREWALL", "ZONE", "DHCLIENT_", "DHCLIENT6_", "BONDING_MODULE_OPTS", "BONDING_SLAVE",
	"ETHERDEVICE", "BRIDGE_", "IPOIB_", "ETHTOOL_OPTIONS", "SCOPE", "PRE_UP_SCRIPT", "POST_UP_SCRIPT", "PRE_DOWN_SCRIPT", "POST_DOWN_SCRIPT",
	"INTERFACETYPE", "LLADDR", "ARP_", "SEND_GRATUITOUS_ARP",
}

// understands tells whether the manager itself reads a key.
func (m manager) understands(key string) bool {
	for _, begin := range m.own {
		if strings.HasPrefix(key, begin) {
			return true
		}
	}
	return false
}

// wicked writes an ifcfg file, SUSE's ifcfg(5), and the routes, ifroute(5), of
// each interface, and takes default routes out of the image's own routes.
func (j *job) wicked() error {
	keep := map[string]bool{}
	routed := map[bool]bool{}
	for _, l := range j.links {
		texts := map[string]string{"ifcfg-" + l.device: j.wickedFile(l), "ifroute-" + l.device: wickedRoutes(l)}
		for _, name := range []string{"ifcfg-" + l.device, "ifroute-" + l.device} {
			if texts[name] == "" {
				continue
			}
			keep[name] = true
			if err := j.put(path.Join(wickedDir, name), texts[name], 0o644); err != nil {
				return err
			}
		}
		for _, g := range l.gateways() {
			routed[g.Is6()] = true
		}
	}
	ours := func(name string) bool {
		return (strings.HasPrefix(name, "ifcfg-") || strings.HasPrefix(name, "ifroute-")) && j.isOurs(path.Join(wickedDir, name))
	}
	if err := j.prune(wickedDir, ours, keep); err != nil {
		return err
	}
	if err := j.rewrite(wickedDir+"/routes", func(text string) string { return unrouted(text, routed) }); err != nil {
		return err
	}
	return j.netconfig()
}

func (j *job) wickedFile(l *link) string {
	var b strings.Builder
	b.WriteString(head)
	theirs := shellWords([]byte(strings.Join(l.kept, "\n")))
	for _, s := range wickedSettings(l) {
		if _, ok := theirs[s.key]; !ok {
			fmt.Fprintf(&b, "%s='%s'\n", s.key, s.value)
		}
	}
	for _, line := range l.kept {
		b.WriteString(line + "\n")
	}
	return b.String()
}

func wickedSettings(l *link) []setting {
	mode, proto := "auto", "static"
	if l.manual {
		mode = "manual"
	}
	if l.master != nil && l.master.Bond != nil {
		// As ifcfg-bonding(5) has it: the bond sets up the member's link.
		mode, proto = "hotplug", "none"
	}
	keys := append([]setting{{"STARTMODE", mode}, {"BOOTPROTO", proto}}, wickedParts(l)...)
	for n, a := range l.Addresses {
		suffix := ""
		if n > 0 {
			suffix = "_" + strconv.Itoa(n)
		}
		keys = append(keys, setting{"IPADDR" + suffix, a.String()})
	}
	if l.MTU > 0 {
		keys = append(keys, setting{"MTU", strconv.Itoa(l.MTU)})
	}
	for n, c := range l.ethtool {
		keys = append(keys, setting{"ETHTOOL_OPTIONS_" + strconv.Itoa(n), c.flag + " iface " + strings.Join(c.args, " ")})
	}
	return keys
}

// wickedParts says what an interface is made of: SUSE's ifcfg-bonding(5),
// ifcfg-vlan(5), ifcfg-bridge(5), ifcfg-infiniband(5).
func wickedParts(l *link) []setting {
	var keys []setting
	switch {
	case l.Bond != nil:
		keys = []setting{{"BONDING_MASTER", "yes"}, {"BONDING_MODULE_OPTS", joined(l.driver(), "=")}}
		for n, part := range l.below {
			keys = append(keys, setting{"BONDING_SLAVE_" + strconv.Itoa(n), part.device})
		}
	case l.VLAN != nil:
		keys = []setting{{"ETHERDEVICE", l.below[0].device}, {"VLAN_ID", strconv.Itoa(l.VLAN.Tag)}}
	case l.Bridge != nil:
		var ports []string
		for _, part := range l.below {
			ports = append(ports, part.device)
		}
		keys = []setting{{"BRIDGE", "yes"}, {"BRIDGE_PORTS", strings.Join(ports, " ")}, {"BRIDGE_STP", map[bool]string{true: "on", false: "off"}[l.Bridge.STP]}}
		if !l.Bridge.STP {
			keys = append(keys, setting{"BRIDGE_FORWARDDELAY", "0"})
		}
	case l.connected:
		keys = []setting{{"IPOIB_MODE", "connected"}}
	}
	if !l.isCard() && l.MAC != "" {
		keys = append(keys, setting{"LLADDR", l.MAC})
	}
	return keys
}

// wickedRoutes has a line for each gateway: destination, gateway, netmask, interface.
func wickedRoutes(l *link) string {
	text := ""
	for _, g := range l.gateways() {
		text += fmt.Sprintf("default %s - %s\n", g, l.device)
	}
	if text == "" {
		return ""
	}
	return head + text
}

// unrouted makes comments of the default routes of families that have one of ours.
func unrouted(text string, routed map[bool]bool) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) > 1 && (w[0] == "default" || w[0] == "0.0.0.0/0" || w[0] == "::/0") && routed[strings.Contains(w[1], ":")] {
			b.WriteString("# luna: ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// netconfig sets the name servers that netconfig(8) adds to those it learns.
func (j *job) netconfig() error {
	return j.rewrite(netconfigFile, func(text string) string {
		text = assigned(text, "NETCONFIG_DNS_STATIC_SERVERS", words(j.DNS))
		return assigned(text, "NETCONFIG_DNS_STATIC_SEARCHLIST", strings.Join(j.Search, " "))
	})
}

// assigned returns a text with lines KEY="value" in which one key has a value.
func assigned(text, key, value string) string {
	line := key + `="` + value + "\"\n"
	var b strings.Builder
	done := false
	for old := range strings.Lines(text) {
		if strings.HasPrefix(old, key+"=") {
			if done {
				continue
			}
			old, done = line, true
		}
		b.WriteString(old)
	}
	if done {
		return b.String()
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		b.WriteByte('\n')
	}
	return b.String() + line
}
