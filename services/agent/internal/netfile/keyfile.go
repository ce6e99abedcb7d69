package netfile

import (
	"fmt"
	"strings"
)

const keyfileDir = "etc/NetworkManager/system-connections"

// keyfile writes a profile for each interface, nm-settings-keyfile(5). Their
// priority is above that of profiles that the image has.
func (j *job) keyfile() error {
	const prefix = "luna-"
	keep := map[string]bool{}
	for _, l := range j.links {
		name := prefix + l.Name + ".nmconnection"
		keep[name] = true
		if err := j.put(keyfileDir+"/"+name, j.profile(l), 0o600); err != nil {
			return err
		}
	}
	if err := j.prune(keyfileDir, func(name string) bool { return strings.HasPrefix(name, prefix) }, keep); err != nil {
		return err
	}
	// Debian's NetworkManager leaves alone what stands there, though nobody reads it.
	return j.disown()
}

// sections are the parts of a keyfile; each is written once, in their order.
type sections struct {
	order []string
	lines map[string][]string
}

func (s *sections) add(section, format string, args ...any) {
	if s.lines == nil {
		s.lines = map[string][]string{}
	}
	if _, ok := s.lines[section]; !ok {
		s.order = append(s.order, section)
	}
	s.lines[section] = append(s.lines[section], fmt.Sprintf(format, args...))
}

func (s *sections) text() string {
	var b strings.Builder
	b.WriteString(head)
	for n, section := range s.order {
		if n > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\n%s\n", section, strings.Join(s.lines[section], "\n"))
	}
	return b.String()
}

func (j *job) profile(l *link) string {
	var s sections
	s.add("connection", "id=luna-%s", l.Name)
	s.add("connection", "type=%s", profileType(l))
	s.add("connection", "autoconnect-priority=999")
	if l.manual {
		s.add("connection", "autoconnect=false")
	}
	if !l.byMAC() && !(l.isInfiniband() && l.MAC != "") {
		s.add("connection", "interface-name=%s", l.device)
	}
	if l.master != nil {
		s.add("connection", "master=%s", l.master.device)
		s.add("connection", "slave-type=%s", profileType(l.master))
	}
	hardware(&s, l)
	madeOf(&s, l)
	for _, c := range l.ethtool {
		keys, _ := c.profile()
		for _, k := range keys {
			section, key, _ := strings.Cut(k.key, ".")
			s.add(section, "%s=%s", key, k.value)
		}
	}
	if l.master == nil {
		j.protocol(&s, l, false)
		j.protocol(&s, l, true)
	}
	return s.text()
}

func profileType(l *link) string {
	switch {
	case l.Bond != nil:
		return "bond"
	case l.VLAN != nil:
		return "vlan"
	case l.Bridge != nil:
		return "bridge"
	case l.isInfiniband():
		return "infiniband"
	}
	return "ethernet"
}

// hardware writes what any interface with a link layer has.
func hardware(s *sections, l *link) {
	section := "ethernet"
	if l.isInfiniband() {
		section = "infiniband"
		mode := "datagram"
		if l.connected {
			mode = "connected"
		}
		s.add(section, "transport-mode=%s", mode)
	}
	switch {
	case l.isCard() && l.MAC != "":
		// NetworkManager compares the end only of an InfiniBand address.
		s.add(section, "mac-address=%s", strings.ToUpper(l.MAC))
	case l.VLAN != nil && l.below[0].byMAC():
		s.add(section, "mac-address=%s", strings.ToUpper(l.below[0].MAC))
	case l.MAC != "":
		s.add(section, "cloned-mac-address=%s", strings.ToUpper(l.MAC))
	}
	if l.MTU > 0 {
		s.add(section, "mtu=%d", l.MTU)
	}
}

func madeOf(s *sections, l *link) {
	switch {
	case l.Bond != nil:
		for _, o := range l.driver() {
			s.add("bond", "%s=%s", o.key, o.value)
		}
	case l.VLAN != nil:
		s.add("vlan", "id=%d", l.VLAN.Tag)
		if !l.below[0].byMAC() {
			s.add("vlan", "parent=%s", l.below[0].device)
		}
	case l.Bridge != nil:
		s.add("bridge", "stp=%t", l.Bridge.STP)
	}
}

func (j *job) protocol(s *sections, l *link, v6 bool) {
	section, without := "ipv4", "disabled"
	if v6 {
		section, without = "ipv6", "link-local"
	}
	if v6 && len(l.Addresses) == 0 {
		// With nothing else it would give the card up when no such address comes.
		without = "ignore"
	}
	addresses, gateway := l.family(v6)
	advertised := v6 && l.advertised != nil && *l.advertised
	switch {
	case advertised:
		s.add(section, "method=auto")
	case len(addresses) == 0:
		s.add(section, "method=%s", without)
		return
	default:
		s.add(section, "method=manual")
	}
	for n, a := range addresses {
		s.add(section, "address%d=%s", n+1, a)
	}
	if gateway != "" {
		s.add(section, "gateway=%s", gateway)
	}
	if servers := j.servers(v6); len(servers) > 0 {
		s.add(section, "dns=%s;", strings.Join(servers, ";"))
	}
	if len(j.Search) > 0 {
		s.add(section, "dns-search=%s;", strings.Join(j.Search, ";"))
	}
}
