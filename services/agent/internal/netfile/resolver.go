package netfile

import (
	"fmt"
	"strings"
)

// resolver tells the installed system its name servers, unless the manager
// itself does.
func (j *job) resolver(manager string) error {
	if len(j.DNS) == 0 && len(j.Search) == 0 {
		return nil
	}
	link := j.tree.Link("etc/resolv.conf")
	switch {
	case manager == "NetworkManager":
		return nil // It writes the file itself, or tells systemd-resolved.
	case strings.Contains(link, "systemd/resolve"):
		if manager == "systemd-networkd" {
			return nil
		}
		return j.put("etc/systemd/resolved.conf.d/luna.conf", j.resolved(), 0o644)
	case strings.Contains(link, "resolvconf") && manager == "ifupdown":
		return nil // It takes the servers from the interfaces file.
	}
	return j.put("etc/resolv.conf", j.resolvConf(), 0o644)
}

func (j *job) resolvConf() string {
	var b strings.Builder
	b.WriteString(head)
	for _, a := range j.DNS {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if len(j.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(j.Search, " "))
	}
	return b.String()
}

func (j *job) resolved() string {
	text := head + "[Resolve]\n"
	if len(j.DNS) > 0 {
		text += "DNS=" + words(j.DNS) + "\n"
	}
	if len(j.Search) > 0 {
		text += "Domains=" + strings.Join(j.Search, " ") + "\n"
	}
	return text
}
