package netfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Tree is the installed system's files. *sysroot.Tree is one.
type Tree interface {
	Exists(name string) bool
	Link(name string) string
	List(dir string) ([]string, error)
	Read(name string) ([]byte, error)
	Write(name string, data []byte, mode fs.FileMode) (changed bool, err error)
	Remove(name string) (bool, error)
}

// manager is a program that configures the network of an installed system.
type manager struct {
	name string
	// programs tell, each by itself, that it is installed.
	programs []string
	// unit is its systemd service; links tell in other ways that it is started.
	unit  string
	links []string
	// write is nil when its files cannot be written.
	write func(*job) error
}

// managers stand in the order of preference among those that are enabled. ifupdown
// stands before NetworkManager, which leaves alone what ifupdown configures.
var managers = []manager{
	{name: "netplan", programs: []string{"usr/sbin/netplan"}, links: []string{"usr/lib/systemd/system-generators/netplan", "lib/systemd/system-generators/netplan"}},
	{name: "systemd-networkd", programs: []string{"usr/lib/systemd/systemd-networkd", "lib/systemd/systemd-networkd"}, unit: "systemd-networkd.service", write: (*job).networkd},
	{name: "ifupdown", programs: []string{"usr/sbin/ifup", "sbin/ifup"}, unit: "networking.service", links: []string{"etc/rcS.d/S*networking", "etc/runlevels/boot/networking"}, write: (*job).ifupdown},
	{name: "NetworkManager", programs: []string{"usr/sbin/NetworkManager", "usr/bin/NetworkManager"}, unit: "NetworkManager.service", write: (*job).keyfile},
	{name: "wicked (SUSE)", programs: []string{"usr/sbin/wicked", "usr/sbin/wickedd"}, unit: "wicked.service"},
	{name: "ifcfg network scripts", programs: []string{"etc/rc.d/init.d/network"}, unit: "network.service", links: []string{"etc/rc.d/rc3.d/S*network"}},
}

// ErrNone is returned for an image in which nothing would configure the network.
var ErrNone = errors.New("no network manager is enabled in the image")

// detect returns the manager to write for and the names of all that are enabled.
func detect(tree Tree) (manager, []string, error) {
	var found []manager
	var enabled, asleep []string
	for _, m := range managers {
		if !slices.ContainsFunc(m.programs, tree.Exists) {
			continue
		}
		yes, err := m.enabled(tree)
		if err != nil {
			return manager{}, nil, fmt.Errorf("look for %s: %w", m.name, err)
		}
		if yes {
			found, enabled = append(found, m), append(enabled, m.name)
		} else {
			asleep = append(asleep, m.name)
		}
	}
	switch {
	case len(found) == 0 && len(asleep) > 0:
		return manager{}, nil, fmt.Errorf("%w: it has %s, but not enabled", ErrNone, strings.Join(asleep, " and "))
	case len(found) == 0:
		return manager{}, nil, fmt.Errorf("%w: it has none that is known", ErrNone)
	case found[0].write == nil:
		return manager{}, enabled, fmt.Errorf("the image's network is configured by %s, whose files cannot be written yet", found[0].name)
	}
	return found[0], enabled, nil
}

// units are the folders in which systemd finds what to start.
var units = []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

func (m manager) enabled(tree Tree) (bool, error) {
	if m.unit != "" && tree.Link("etc/systemd/system/"+m.unit) == "/dev/null" {
		return false, nil // Masked.
	}
	for _, pattern := range m.links {
		yes, err := matches(tree, pattern)
		if yes || err != nil {
			return yes, err
		}
	}
	for _, dir := range units {
		names, err := tree.List(dir)
		if err != nil {
			return false, err
		}
		for _, wants := range names {
			if strings.HasSuffix(wants, ".wants") && m.unit != "" && tree.Link(path.Join(dir, wants, m.unit)) != "" {
				return true, nil
			}
		}
	}
	return false, nil
}

// matches tells whether a name of a folder fits a pattern, be it a link that
// leads nowhere.
func matches(tree Tree, pattern string) (bool, error) {
	names, err := tree.List(path.Dir(pattern))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(names, func(name string) bool {
		ok, err := path.Match(path.Base(pattern), name)
		return ok && err == nil
	}), nil
}
