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
		yes, why, err := m.enabled(tree)
		switch {
		case err != nil:
			return manager{}, nil, fmt.Errorf("look for %s: %w", m.name, err)
		case yes:
			found, enabled = append(found, m), append(enabled, m.name)
		case why != "":
			asleep = append(asleep, m.name+" ("+why+")")
		}
	}
	switch {
	case len(found) == 0 && len(asleep) > 0:
		return manager{}, nil, fmt.Errorf("%w: it has %s: enable one in the image with systemctl", ErrNone, strings.Join(asleep, " and "))
	case len(found) == 0:
		return manager{}, nil, fmt.Errorf("%w: it has none of those that Luna knows: netplan, systemd-networkd, ifupdown, NetworkManager, wicked, ifcfg network scripts", ErrNone)
	}
	return found[0], enabled, nil
}

// enabled tells whether the installed manager configures the network, else why
// not; nothing is said of one that another entry stands for.
func (m manager) enabled(tree Tree) (yes bool, why string, err error) {
	if m.when != nil {
		if yes, err := m.when(tree); !yes || err != nil {
			return false, "", err
		}
	}
	if m.unit == "" {
		return true, "", nil
	}
	if masked(tree, "etc/systemd/system/"+m.unit) {
		return false, "masked", nil
	}
	for _, pattern := range m.links {
		if yes, err := matches(tree, pattern); yes || err != nil {
			return yes, "", err
		}
	}
	if target := path.Base(tree.Link(m.alias)); m.alias != "" && strings.HasSuffix(target, ".service") {
		return target == m.unit, "not chosen by network.service", nil
	}
	yes, err = wanted(tree, m.unit)
	return yes, "not enabled", err
}

// masked tells whether a unit or a generator is switched off: by a link to
// /dev/null or an empty file, systemd.unit(5).
func masked(tree Tree, name string) bool {
	if target := tree.Link(name); target != "" {
		return target == "/dev/null"
	}
	data, err := tree.Read(name)
	return tree.Exists(name) && err == nil && len(data) == 0
}

// units are the folders in which systemd finds what to start.
var units = []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// wanted tells whether a target starts the unit.
func wanted(tree Tree, unit string) (bool, error) {
	for _, dir := range units {
		names, err := tree.List(dir)
		if err != nil {
			return false, err
		}
		for _, wants := range names {
			if (strings.HasSuffix(wants, ".wants") || strings.HasSuffix(wants, ".requires")) && tree.Link(path.Join(dir, wants, unit)) != "" {
				return true, nil
			}
		}
	}
	return false, nil
}

// starts tells whether a unit is started and not masked.
func starts(tree Tree, unit string) (bool, error) {
	if masked(tree, "etc/systemd/system/"+unit) {
		return false, nil
	}
	return wanted(tree, unit)
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
