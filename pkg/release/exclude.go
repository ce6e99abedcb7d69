package release

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// pseudoDirs are packed empty: the running system fills them.
var pseudoDirs = map[string]bool{"proc": true, "sys": true, "dev": true, "run": true, "tmp": true}

// blankFiles are packed without content: they hold an identity that each node must have for itself.
var blankFiles = map[string]bool{"etc/machine-id": true}

// identityFiles are not packed: what each machine must make for itself, as path.Match patterns.
var identityFiles = []string{
	"var/lib/dbus/machine-id",
	"var/lib/systemd/random-seed",
	"var/lib/random-seed",
	"var/lib/urandom/random-seed",
	"var/lib/misc/random-seed",
	"var/lib/dhcp/*.lease*",
	"var/lib/dhcp3/*.lease*",
	"var/lib/dhclient/*.lease*",
	"var/lib/dhcpcd/*.lease*",
	"var/lib/dhcpcd5/*.lease*",
	"var/lib/NetworkManager/*.lease*",
	"var/lib/wicked/lease-*",
	"var/lib/wicked/duid.xml",
	"var/lib/wicked/iaid.xml",
}

// leaveOut decides what is not packed.
type leaveOut struct{ patterns []string }

// newLeaveOut takes path.Match patterns, relative to the tree or with a leading slash.
func newLeaveOut(exclude []string) (leaveOut, error) {
	var l leaveOut
	for _, p := range exclude {
		clean := strings.Trim(path.Clean("/"+p), "/")
		if _, err := path.Match(clean, ""); err != nil || clean == "" {
			return leaveOut{}, fmt.Errorf("exclude pattern %q is not a path pattern", p)
		}
		l.patterns = append(l.patterns, clean)
	}
	l.patterns = append(l.patterns, identityFiles...)
	return l, nil
}

// drops tells whether name, with all below it, is left out.
func (l leaveOut) drops(name string) bool {
	for _, p := range l.patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}

// empties tells whether the directory is packed without what is in it.
func (l leaveOut) empties(name string) bool { return pseudoDirs[name] }

// IdentityFiles returns what Pack empties or leaves out because each machine makes it for itself, as path.Match patterns
// with a leading slash.
func IdentityFiles() []string {
	all := slices.Sorted(maps.Keys(blankFiles))
	all = append(all, identityFiles...)
	for i := range all {
		all[i] = "/" + all[i]
	}
	return all
}
