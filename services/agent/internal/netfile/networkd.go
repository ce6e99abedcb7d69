package netfile

import (
	"fmt"
	"strings"
)

const networkdDir = "etc/systemd/network"

// networkd writes a .network file for each interface, systemd.network(5). The
// names come first in the order of files, so that no other file matches before.
func (j *job) networkd() error {
	const prefix = "00-luna-"
	keep := map[string]bool{}
	for _, i := range j.Interfaces {
		name := prefix + strings.ToLower(i.Name) + ".network"
		keep[name] = true
		if err := j.put(networkdDir+"/"+name, j.networkFile(i), 0o644); err != nil {
			return err
		}
	}
	return j.prune(networkdDir, func(name string) bool { return strings.HasPrefix(name, prefix) }, keep)
}

func (j *job) networkFile(i Interface) string {
	var b strings.Builder
	b.WriteString(head + "[Match]\n")
	if i.MAC != "" {
		// With the type, since bonds and VLANs have the MAC of a card too.
		fmt.Fprintf(&b, "MACAddress=%s\nType=%s\n", i.MAC, kindOf(i.MAC))
	} else {
		fmt.Fprintf(&b, "Name=%s\n", i.Name)
	}
	if i.MTU > 0 {
		fmt.Fprintf(&b, "\n[Link]\nMTUBytes=%d\n", i.MTU)
	}
	b.WriteString("\n[Network]\n")
	for _, a := range i.Addresses {
		fmt.Fprintf(&b, "Address=%s\n", a)
	}
	if i.Gateway.IsValid() {
		fmt.Fprintf(&b, "Gateway=%s\n", i.Gateway)
	}
	for _, a := range j.DNS {
		fmt.Fprintf(&b, "DNS=%s\n", a)
	}
	if len(j.Search) > 0 {
		fmt.Fprintf(&b, "Domains=%s\n", strings.Join(j.Search, " "))
	}
	return b.String()
}

// kindOf tells the kind of card by the length of its MAC.
func kindOf(mac string) string {
	if len(mac) > len("00:00:00:00:00:00") {
		return "infiniband"
	}
	return "ether"
}
