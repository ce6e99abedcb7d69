package netfile

import (
	"errors"
	"fmt"
	"strings"
)

const (
	netplanDir = "etc/netplan"
	// netplanFile comes after those that images have; what it says is merged into theirs.
	netplanFile = netplanDir + "/zz-luna.yaml"
	// netplanID begins what stands for a card. Of all that match a card, networkd
	// takes the first in the order of names.
	netplanID = "00-luna-"
)

// planned refuses what netplan does not pass on to NetworkManager.
func (j *job) planned(l *link) error {
	backend, err := netplanBackend(j.tree)
	if err == nil && backend == nmName && l.advertised != nil && *l.advertised {
		err = errors.New("option IPV6_AUTOCONF=yes cannot be written for netplan with NetworkManager")
	}
	return err
}

// netplan writes one file, netplan(5), and takes the same interfaces out of the
// image's own, into which it would be merged.
func (j *job) netplan() error {
	backend, err := netplanBackend(j.tree)
	if err != nil {
		return err
	}
	j.backend = backend
	if err := j.disownPlans(); err != nil {
		return err
	}
	renderer := "networkd"
	if backend == nmName {
		renderer = "NetworkManager"
	}
	y := &yamlText{}
	y.b.WriteString(head)
	y.in("network", func() {
		y.add("version", "2")
		y.add("renderer", renderer)
		for _, section := range planSections {
			y.in(section, func() {
				for _, l := range j.links {
					if planSection(l) == section {
						y.in(planID(l), func() { j.plan(y, l) })
					}
				}
			})
		}
	})
	return j.put(netplanFile, y.b.String(), 0o600)
}

var planSections = []string{"ethernets", "bonds", "bridges", "vlans"}

func planSection(l *link) string {
	switch {
	case l.Bond != nil:
		return "bonds"
	case l.VLAN != nil:
		return "vlans"
	case l.Bridge != nil:
		return "bridges"
	}
	return "ethernets"
}

func planID(l *link) string {
	if l.isCard() {
		return netplanID + l.Name
	}
	return l.device
}

func planIDs(all []*link) string {
	var ids []string
	for _, l := range all {
		ids = append(ids, planID(l))
	}
	return list(ids)
}

// plan writes one interface.
func (j *job) plan(y *yamlText, l *link) {
	if l.isCard() {
		y.in("match", func() {
			if l.byMAC() {
				y.add("macaddress", quoted(l.MAC))
			} else {
				y.add("name", quoted(l.device))
			}
		})
		if l.connected {
			y.add("infiniband-mode", "connected")
		}
	} else if l.MAC != "" {
		y.add("macaddress", quoted(l.MAC))
	}
	planParts(y, l)
	if l.MTU > 0 {
		y.add("mtu", fmt.Sprint(l.MTU))
	}
	if l.manual {
		y.add("activation-mode", "manual")
		y.add("optional", "true")
	}
	if l.master != nil {
		y.add("link-local", "[]")
	} else {
		j.planAddresses(y, l)
	}
	if j.backend == nmName {
		y.in("networkmanager", func() {
			y.in("passthrough", func() { y.add("connection.autoconnect-priority", quoted("999")) })
		})
	}
}

func planParts(y *yamlText, l *link) {
	switch {
	case l.Bond != nil:
		y.add("interfaces", planIDs(l.below))
		y.in("parameters", func() {
			y.add("mode", l.Bond.Mode)
			if l.Bond.MIIMon > 0 {
				y.add("mii-monitor-interval", fmt.Sprint(l.Bond.MIIMon))
			}
			for _, s := range l.bonding {
				planBonding(y, l, s)
			}
		})
	case l.VLAN != nil:
		y.add("id", fmt.Sprint(l.VLAN.Tag))
		y.add("link", planID(l.below[0]))
	case l.Bridge != nil:
		y.add("interfaces", planIDs(l.below))
		y.in("parameters", func() { y.add("stp", trueFalse(l.Bridge.STP)) })
	}
}

func planBonding(y *yamlText, l *link, s setting) {
	o := bondOptions[s.key]
	switch {
	case s.key == "primary":
		y.add("primary", planID(l.primary()))
	case s.key == "arp_ip_target":
		y.add(o.netplan, list(strings.Split(s.value, ",")))
	case o.truth:
		y.add(o.netplan, trueFalse(isYes(s.value)))
	default:
		y.add(o.netplan, s.value)
	}
}

func (j *job) planAddresses(y *yamlText, l *link) {
	if l.advertised != nil {
		y.add("accept-ra", trueFalse(*l.advertised))
	}
	if len(l.Addresses) == 0 {
		return
	}
	y.add("addresses", list(texts(l.Addresses)))
	if gateways := l.gateways(); len(gateways) > 0 {
		y.in("routes", func() {
			for _, g := range gateways {
				// Not "default", which older ones do not know.
				y.item(fmt.Sprintf("{to: %q, via: %q}", map[bool]string{true: "0.0.0.0/0", false: "::/0"}[g.Is4()], g))
			}
		})
	}
	if len(j.DNS)+len(j.Search) > 0 {
		y.in("nameservers", func() {
			if len(j.DNS) > 0 {
				y.add("addresses", list(texts(j.DNS)))
			}
			if len(j.Search) > 0 {
				y.add("search", list(j.Search))
			}
		})
	}
}
