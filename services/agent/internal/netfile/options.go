package netfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// passed are options whose meaning the written files have anyway.
var passed = map[string][]string{
	"BOOTPROTO": {"none", "static"}, "NM_CONTROLLED": {"yes", "no"}, "USERCTL": {"no"}, "HOTPLUG": {"yes"},
	"PEERDNS": {"yes", "no"}, "PEERROUTES": {"yes", "no"}, "IPV6_PEERDNS": {"yes", "no"}, "IPV6_PEERROUTES": {"yes", "no"},
	"DEFROUTE": {"yes"}, "IPV6_DEFROUTE": {"yes"}, "IPV4_FAILURE_FATAL": {"yes", "no"}, "IPV6_FAILURE_FATAL": {"yes", "no"},
	"IPV6FORWARDING": {"no"}, "IPV6_PRIVACY": {"no"}, "PROXY_METHOD": {"none"}, "BROWSER_ONLY": {"no"},
	"REORDER_HDR": {"yes"}, "DEVICETYPE": {"ethernet", "bond", "bridge", "vlan", "infiniband"},
}

// errUnwritable is returned for an option that the manager's files have no word for.
var errUnwritable = errors.New("cannot be written")

// translate takes the operator's free options, ifcfg(5), into the interface.
// What it cannot express in the manager's form it refuses by name. A manager
// that reads the text itself is given it as it stands: there only what says how
// interfaces stand on each other is read.
func (l *link) translate(m manager) error {
	typed := l.Interface.clone()
	for line := range strings.Lines(l.Options) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok && !m.verbatim {
			return fmt.Errorf("option %q is not of the form KEY=VALUE", line)
		}
		key, value = strings.TrimSpace(key), unquote(value)
		if !m.verbatim && m.understands(key) {
			l.kept = append(l.kept, line)
			continue
		}
		err := l.option(m, strings.ToUpper(key), value)
		switch {
		case errors.Is(err, errUnwritable) && !m.verbatim:
			return fmt.Errorf("option %s=%s cannot be written for %s", strings.ToUpper(key), value, m.name)
		case err != nil && !errors.Is(err, errUnwritable):
			return err
		}
	}
	if err := l.complete(m); err != nil && !m.verbatim {
		return err
	} else if err != nil {
		l.Interface = typed // The text speaks of more than Luna knows, which is the manager's business.
	}
	return nil
}

// unquote takes off the quotes that a shell would.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// option takes in one option.
func (l *link) option(m manager, key, value string) error {
	if slices.Contains(m.lacks, key) {
		return errUnwritable
	}
	if set := setters[key]; set != nil {
		return set(l, m, value)
	}
	if slices.Contains(passed[key], strings.ToLower(value)) {
		return nil
	}
	return errUnwritable
}

// setters are the options that change the interface.
var setters = map[string]func(l *link, m manager, value string) error{
	"MTU": func(l *link, _ manager, value string) error {
		mtu, err := strconv.Atoi(value)
		if err != nil || mtu < 68 || mtu > maxMTU {
			return fmt.Errorf("option MTU=%s is no MTU", value)
		}
		l.MTU = mtu
		return nil
	},
	"DEVICE": func(l *link, _ manager, value string) error { return only(value == l.Name) },
	"NAME":   func(*link, manager, string) error { return nil },
	"ONBOOT": func(l *link, _ manager, value string) error {
		return truth(value, func(yes bool) { l.manual = !yes })
	},
	"TYPE":           (*link).setType,
	"BONDING_MASTER": func(l *link, _ manager, value string) error { return l.become(value, l.bond) },
	"BONDING_OPTS":   (*link).setBonding,
	"MASTER":         func(l *link, _ manager, value string) error { l.masterBond = value; return nil },
	"SLAVE":          func(l *link, _ manager, value string) error { return only(isYes(value)) },
	"BRIDGE":         func(l *link, _ manager, value string) error { l.masterBridge = value; return nil },
	"STP": func(l *link, _ manager, value string) error {
		l.bridge()
		return truth(value, func(yes bool) { l.Bridge.STP = yes })
	},
	// Without the protocol ports forward at once, whatever the delay.
	"DELAY": func(l *link, _ manager, value string) error { l.delay = value; return nil },
	"VLAN":  func(l *link, _ manager, value string) error { return l.become(value, l.vlan) },
	"PHYSDEV": func(l *link, _ manager, value string) error {
		l.vlan()
		l.VLAN.Parent = value
		return nil
	},
	"VLAN_ID": func(l *link, _ manager, value string) error {
		tag, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("option VLAN_ID=%s is no tag", value)
		}
		l.vlan()
		l.VLAN.Tag = tag
		return nil
	},
	"CONNECTED_MODE": func(l *link, _ manager, value string) error {
		l.infiniband = true
		return truth(value, func(yes bool) { l.connected = yes })
	},
	"DEFROUTE": func(l *link, _ manager, value string) error {
		return truth(value, func(yes bool) { l.noGateway = l.noGateway || !yes })
	},
	"IPV6_DEFROUTE": func(l *link, _ manager, value string) error {
		return truth(value, func(yes bool) { l.noGateway6 = l.noGateway6 || !yes })
	},
	"IPV6INIT": func(l *link, _ manager, value string) error {
		with, _ := l.family(true)
		return truthIf(value, func(yes bool) bool { return yes || len(with) == 0 })
	},
	"IPV6_AUTOCONF": func(l *link, _ manager, value string) error {
		return truth(value, func(yes bool) { l.advertised = &yes })
	},
	"ETHTOOL_OPTS": (*link).setEthtool,
}

// setType reads TYPE.
func (l *link) setType(_ manager, value string) error {
	switch strings.ToLower(value) {
	case "ethernet":
	case "infiniband":
		l.infiniband = true
	case "bond":
		l.bond()
	case "bridge":
		l.bridge()
	case "vlan":
		l.vlan()
	default:
		return errUnwritable
	}
	return nil
}

// The three make the interface what it is said to be, if it is not yet. A bond
// without options has the driver's own mode.

func (l *link) bond() {
	if l.Bond == nil {
		l.Bond = &Bond{Mode: bondModes[0]}
	}
}

func (l *link) vlan() {
	if l.VLAN == nil {
		l.VLAN = &VLAN{}
	}
}

func (l *link) bridge() {
	if l.Bridge == nil {
		l.Bridge = &Bridge{}
	}
}

func (l *link) become(value string, make func()) error {
	if isYes(value) {
		make()
		return nil
	}
	return errUnwritable
}

// complete fills in what the name of a VLAN says, as in bond0.100 and vlan100,
// and checks what the options have made.
func (l *link) complete(m manager) error {
	if l.delay != "" && l.Bridge != nil && l.Bridge.STP {
		return fmt.Errorf("option DELAY=%s cannot be written for %s beside STP", l.delay, m.name)
	}
	if l.noGateway {
		l.Gateway = none
	}
	if l.noGateway6 {
		l.Gateway6 = none
	}
	if v := l.VLAN; v != nil {
		parent, tag, dotted := strings.Cut(l.Name, ".")
		if !dotted {
			tag = strings.TrimPrefix(l.Name, "vlan")
		}
		if n, err := strconv.Atoi(tag); err == nil && v.Tag == 0 {
			v.Tag = n
		}
		if v.Parent == "" && dotted {
			v.Parent = parent
		}
	}
	return l.check()
}

func isYes(value string) bool {
	return slices.Contains([]string{"yes", "on", "true", "1"}, strings.ToLower(value))
}

func isNo(value string) bool {
	return slices.Contains([]string{"no", "off", "false", "0"}, strings.ToLower(value))
}

func truth(value string, set func(yes bool)) error {
	if !isYes(value) && !isNo(value) {
		return errUnwritable
	}
	set(isYes(value))
	return nil
}

func truthIf(value string, fits func(yes bool) bool) error {
	var ok bool
	if err := truth(value, func(yes bool) { ok = fits(yes) }); err != nil {
		return err
	}
	return only(ok)
}

func only(ok bool) error {
	if !ok {
		return errUnwritable
	}
	return nil
}
