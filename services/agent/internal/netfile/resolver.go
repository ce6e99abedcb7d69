package netfile

import (
	"fmt"
	"slices"
	"strings"
)

const resolvConf = "etc/resolv.conf"

// resolver tells the installed system its name servers, unless another program
// there writes resolv.conf.
func (j *job) resolver() error {
	if len(j.DNS) == 0 && len(j.Search) == 0 {
		return nil
	}
	by := j.manager.name
	if by == netplanName {
		by = j.backend
	}
	link := j.tree.Link(resolvConf)
	resolved, err := j.resolvedRuns()
	if err != nil {
		return err
	}
	switch {
	case by == nmName || by == nmIfcfgName:
		// It writes the file itself, or tells systemd-resolved.
		if off, err := nmLeavesIt(j.tree); !off || err != nil {
			return err
		}
	case by == scriptsName:
		return nil // They write DNS1 and so on into it.
	case by == wickedName && strings.Contains(link, "netconfig"):
		return nil
	case by == ifupdownName && strings.Contains(link, "resolvconf"):
		return nil // It takes the servers from the interfaces file.
	}
	if strings.Contains(link, "systemd/resolve") && resolved {
		if by == networkdName {
			return nil
		}
		return j.put("etc/systemd/resolved.conf.d/luna.conf", j.resolved(), 0o644)
	}
	return j.resolvFile(link)
}

// resolvFile writes the file. A link into /run leads to what is not there when
// the system starts.
func (j *job) resolvFile(link string) error {
	if slices.Contains(strings.Split(link, "/"), "run") {
		if _, err := j.tree.Remove(resolvConf); err != nil {
			return err
		}
	}
	return j.put(resolvConf, j.resolvConf(), 0o644)
}

// resolvedRuns tells whether systemd-resolved is started.
func (j *job) resolvedRuns() (bool, error) {
	if !j.tree.Exists("usr/lib/systemd/systemd-resolved") && !j.tree.Exists("lib/systemd/systemd-resolved") {
		return false, nil
	}
	return starts(j.tree, "systemd-resolved.service")
}

// nmLeavesIt tells whether NetworkManager is told to leave resolv.conf alone.
func nmLeavesIt(tree Tree) (bool, error) {
	dns, err := nmSetting(tree, "main", "dns")
	if err != nil {
		return false, err
	}
	rc, err := nmSetting(tree, "main", "rc-manager")
	return dns == "none" || rc == "unmanaged", err
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
