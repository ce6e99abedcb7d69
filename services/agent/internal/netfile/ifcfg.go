package netfile

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	ifcfgDir = "etc/sysconfig/network-scripts"
	// networkingFile must be there for the scripts to do anything.
	networkingFile = "etc/sysconfig/network"
)

// ifcfg writes a file for each interface, ifcfg(5) of the RHEL family, and puts
// the image's own files about the same interfaces aside.
func (j *job) ifcfg() error {
	keep := map[string]bool{}
	for _, l := range j.links {
		name := "ifcfg-" + l.device
		keep[name] = true
		if err := j.put(path.Join(ifcfgDir, name), j.ifcfgFile(l), 0o644); err != nil {
			return err
		}
	}
	ours := func(name string) bool {
		return strings.HasPrefix(name, "ifcfg-") && j.isOurs(path.Join(ifcfgDir, name))
	}
	if err := j.prune(ifcfgDir, ours, keep); err != nil {
		return err
	}
	if err := j.putAside(keep); err != nil {
		return err
	}
	return j.networking()
}

// scriptable tells whether the scripts can make an interface: they read a
// VLAN's tag from its name.
func (j *job) scriptable(l *link) error {
	if l.VLAN == nil {
		return nil
	}
	tag := strconv.Itoa(l.VLAN.Tag)
	if l.device == "vlan"+tag || l.device == l.below[0].device+"."+tag {
		return nil
	}
	return fmt.Errorf("the image's network scripts can only make this VLAN with the name vlan%s or %s.%[1]s", tag, l.below[0].device)
}

// ifcfgFile returns the generated keys without those that the operator's text
// has, and then that text.
func (j *job) ifcfgFile(l *link) string {
	theirs := shellWords([]byte(l.Options))
	var b strings.Builder
	b.WriteString(head)
	for _, s := range j.ifcfgKeys(l) {
		if _, ok := theirs[s.key]; !ok {
			fmt.Fprintf(&b, "%s=%s\n", s.key, shellQuoted(s.value))
		}
	}
	if text := strings.TrimRight(l.Options, "\n"); text != "" {
		b.WriteString("# The options of the group's interface, as typed:\n" + text + "\n")
	}
	return b.String()
}

func (j *job) ifcfgKeys(l *link) []setting {
	keys := []setting{{"DEVICE", l.device}, {"TYPE", ifcfgType(l)}, {"ONBOOT", yesNo(!l.manual)}, {"BOOTPROTO", "none"}}
	if l.byMAC() {
		keys = append(keys, setting{"HWADDR", strings.ToUpper(l.MAC)})
	}
	keys = append(keys, j.ifcfgParts(l)...)
	if l.MTU > 0 {
		keys = append(keys, setting{"MTU", strconv.Itoa(l.MTU)})
	}
	switch {
	case l.master != nil && l.master.Bond != nil:
		return append(keys, setting{"MASTER", l.master.device}, setting{"SLAVE", "yes"})
	case l.master != nil:
		return append(keys, setting{"BRIDGE", l.master.device})
	}
	return append(keys, j.ifcfgAddresses(l)...)
}

func ifcfgType(l *link) string {
	return map[string]string{"ethernet": "Ethernet", "infiniband": "InfiniBand", "bond": "Bond", "vlan": "Vlan", "bridge": "Bridge"}[profileType(l)]
}

// ifcfgParts says what an interface is made of: ifcfg-bonding(5), ifcfg-vlan(5), ifcfg-bridge(5).
func (j *job) ifcfgParts(l *link) []setting {
	var keys []setting
	switch {
	case l.Bond != nil:
		keys = []setting{{"BONDING_MASTER", "yes"}, {"BONDING_OPTS", joined(l.driver(), "=")}}
	case l.VLAN != nil:
		keys = []setting{{"VLAN", "yes"}, {"PHYSDEV", l.below[0].device}, {"VLAN_ID", strconv.Itoa(l.VLAN.Tag)}}
	case l.Bridge != nil:
		keys = []setting{{"STP", yesNo(l.Bridge.STP)}}
		if !l.Bridge.STP {
			keys = append(keys, setting{"DELAY", "0"})
		}
	case l.connected:
		keys = []setting{{"CONNECTED_MODE", "yes"}}
	}
	if !l.isCard() && l.MAC != "" {
		key := "MACADDR"
		if l.Bridge != nil && j.manager.name == nmIfcfgName {
			key = "BRIDGE_MACADDR"
		}
		keys = append(keys, setting{key, strings.ToUpper(l.MAC)})
	}
	return keys
}

func (j *job) ifcfgAddresses(l *link) []setting {
	var keys []setting
	var six []string
	four := 0
	for _, a := range l.Addresses {
		if a.Addr().Is6() {
			six = append(six, a.String())
			continue
		}
		suffix := ""
		if four > 0 {
			suffix = strconv.Itoa(four)
		}
		four++
		keys = append(keys, setting{"IPADDR" + suffix, a.Addr().String()}, setting{"PREFIX" + suffix, strconv.Itoa(a.Bits())})
	}
	if l.Gateway.IsValid() {
		keys = append(keys, setting{"GATEWAY", l.Gateway.String()})
	}
	keys = append(keys, setting{"IPV6INIT", yesNo(len(six) > 0)})
	if len(six) > 0 {
		keys = append(keys, setting{"IPV6_AUTOCONF", "no"}, setting{"IPV6ADDR", six[0]})
	}
	if len(six) > 1 {
		keys = append(keys, setting{"IPV6ADDR_SECONDARIES", strings.Join(six[1:], " ")})
	}
	if l.Gateway6.IsValid() {
		keys = append(keys, setting{"IPV6_DEFAULTGW", l.Gateway6.String()})
	}
	if len(l.Addresses) == 0 {
		return keys
	}
	for n, a := range j.DNS {
		keys = append(keys, setting{"DNS" + strconv.Itoa(n+1), a.String()})
	}
	if len(j.Search) > 0 {
		keys = append(keys, setting{"DOMAIN", strings.Join(j.Search, " ")})
	}
	return keys
}

// putAside renames the image's files about the same cards such that nobody reads them.
func (j *job) putAside(keep map[string]bool) error {
	names, err := j.tree.List(ifcfgDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if keep[name] || !strings.HasPrefix(name, "ifcfg-") || strings.HasSuffix(name, ".bak") {
			continue
		}
		file := path.Join(ifcfgDir, name)
		text, err := j.tree.Read(file)
		if err != nil {
			return err
		}
		words := shellWords(text)
		if !slices.ContainsFunc(j.links, func(l *link) bool {
			return words["DEVICE"] == l.device || l.isCard() && l.MAC != "" && strings.EqualFold(words["HWADDR"], l.MAC)
		}) {
			continue
		}
		if err := errors.Join(j.put(file+".bak", string(text), 0o600), j.remove(file)); err != nil {
			return err
		}
	}
	return nil
}

// networking switches the scripts on and takes away a gateway of the whole
// machine's, which the image may have.
func (j *job) networking() error {
	return j.rewrite(networkingFile, func(text string) string {
		if j.manager.name == scriptsName && shellWords([]byte(text))["NETWORKING"] != "yes" {
			text = strings.TrimRight(text, "\n") + "\nNETWORKING=yes\n"
		}
		return withoutKeys(strings.TrimLeft(text, "\n"), "GATEWAY", "GATEWAYDEV", "IPV6_DEFAULTGW", "IPV6_DEFAULTDEV")
	})
}

// withoutKeys makes comments of lines that set one of the keys.
func withoutKeys(text string, keys ...string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if key, _, ok := strings.Cut(strings.TrimSpace(line), "="); ok && slices.Contains(keys, key) {
			b.WriteString("# luna: ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// shellQuoted quotes a value where a shell would take it apart.
func shellQuoted(s string) string {
	if isWord(s) {
		return s
	}
	return `"` + s + `"`
}
