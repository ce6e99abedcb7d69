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
	for _, i := range j.Interfaces {
		name := prefix + i.Name + ".nmconnection"
		keep[name] = true
		if err := j.put(keyfileDir+"/"+name, j.profile(i), 0o600); err != nil {
			return err
		}
	}
	return j.prune(keyfileDir, func(name string) bool { return strings.HasPrefix(name, prefix) }, keep)
}

func (j *job) profile(i Interface) string {
	var b strings.Builder
	kind := "ethernet"
	if i.MAC != "" && kindOf(i.MAC) == "infiniband" {
		kind = "infiniband"
	}
	fmt.Fprintf(&b, "%s[connection]\nid=luna-%s\ntype=%s\nautoconnect-priority=999\n", head, i.Name, kind)
	if i.MAC == "" {
		fmt.Fprintf(&b, "interface-name=%s\n", i.Name)
	}
	fmt.Fprintf(&b, "\n[%s]\n", kind)
	if i.MAC != "" {
		fmt.Fprintf(&b, "mac-address=%s\n", strings.ToUpper(i.MAC))
	}
	if kind == "infiniband" {
		b.WriteString("transport-mode=datagram\n")
	}
	if i.MTU > 0 {
		fmt.Fprintf(&b, "mtu=%d\n", i.MTU)
	}
	j.protocol(&b, i, false)
	j.protocol(&b, i, true)
	return b.String()
}

func (j *job) protocol(b *strings.Builder, i Interface, v6 bool) {
	section, without := "ipv4", "disabled"
	if v6 {
		section, without = "ipv6", "link-local"
	}
	addresses, gateway := i.family(v6)
	if len(addresses) == 0 {
		fmt.Fprintf(b, "\n[%s]\nmethod=%s\n", section, without)
		return
	}
	fmt.Fprintf(b, "\n[%s]\nmethod=manual\n", section)
	for n, a := range addresses {
		fmt.Fprintf(b, "address%d=%s\n", n+1, a)
	}
	if gateway != "" {
		fmt.Fprintf(b, "gateway=%s\n", gateway)
	}
	if servers := j.servers(v6); len(servers) > 0 {
		fmt.Fprintf(b, "dns=%s;\n", strings.Join(servers, ";"))
	}
	if len(j.Search) > 0 {
		fmt.Fprintf(b, "dns-search=%s;\n", strings.Join(j.Search, ";"))
	}
}
