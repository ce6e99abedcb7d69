package netfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// bondOption is an option of the kernel's bonding driver and its names elsewhere.
type bondOption struct {
	// networkd's key, systemd.netdev(5); netplan's key. Empty is none.
	networkd, netplan string
	// milliseconds and seconds tell the unit of a time.
	milliseconds, seconds bool
	// words are the names of the numbers 0, 1, ….
	words []string
	// truth tells that 1 and 0 mean yes and no.
	truth bool
}

var bondOptions = map[string]bondOption{
	"updelay":           {networkd: "UpDelaySec", netplan: "up-delay", milliseconds: true},
	"downdelay":         {networkd: "DownDelaySec", netplan: "down-delay", milliseconds: true},
	"lacp_rate":         {networkd: "LACPTransmitRate", netplan: "lacp-rate", words: []string{"slow", "fast"}},
	"xmit_hash_policy":  {networkd: "TransmitHashPolicy", netplan: "transmit-hash-policy", words: []string{"layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"}},
	"ad_select":         {networkd: "AdSelect", netplan: "ad-select", words: []string{"stable", "bandwidth", "count"}},
	"fail_over_mac":     {networkd: "FailOverMACPolicy", netplan: "fail-over-mac-policy", words: []string{"none", "active", "follow"}},
	"arp_interval":      {networkd: "ARPIntervalSec", netplan: "arp-interval", milliseconds: true},
	"arp_ip_target":     {networkd: "ARPIPTargets", netplan: "arp-ip-targets"},
	"arp_validate":      {networkd: "ARPValidate", netplan: "arp-validate", words: []string{"none", "active", "backup", "all"}},
	"arp_all_targets":   {networkd: "ARPAllTargets", netplan: "arp-all-targets", words: []string{"any", "all"}},
	"primary":           {},
	"primary_reselect":  {networkd: "PrimaryReselectPolicy", netplan: "primary-reselect-policy", words: []string{"always", "better", "failure"}},
	"num_grat_arp":      {networkd: "GratuitousARP", netplan: "gratuitous-arp"},
	"all_slaves_active": {networkd: "AllSlavesActive", netplan: "all-slaves-active", truth: true},
	"min_links":         {networkd: "MinLinks", netplan: "min-links"},
	"resend_igmp":       {networkd: "ResendIGMP", netplan: "resend-igmp"},
	"packets_per_slave": {networkd: "PacketsPerSlave", netplan: "packets-per-slave"},
	"lp_interval":       {networkd: "LearnPacketIntervalSec", netplan: "learn-packet-interval", seconds: true},
	"tlb_dynamic_lb":    {networkd: "DynamicTransmitLoadBalancing", truth: true},
}

// setBonding reads BONDING_OPTS, ifcfg-bonding(5): words OPTION=VALUE.
func (l *link) setBonding(m manager, value string) error {
	l.bond()
	for _, word := range strings.Fields(value) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "mode":
			if l.Bond.Mode = named(bondModes, value); !slices.Contains(bondModes, l.Bond.Mode) {
				return fmt.Errorf("option BONDING_OPTS: mode=%s is no mode", value)
			}
		case "miimon":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return fmt.Errorf("option BONDING_OPTS: miimon=%s is no number of milliseconds", value)
			}
			l.Bond.MIIMon = n
		default:
			o, known := bondOptions[key]
			if !m.verbatim && (!known || value == "" || m.bondKey != nil && key != "primary" && m.bondKey(o) == "") {
				return fmt.Errorf("option BONDING_OPTS: %s cannot be written for %s", word, m.name)
			}
			l.bonding = append(l.bonding, setting{key, named(o.words, value)})
		}
	}
	return nil
}

// named returns the name of a number.
func named(names []string, value string) string {
	if n, err := strconv.Atoi(value); err == nil && n >= 0 && n < len(names) {
		return names[n]
	}
	return value
}

// driver returns all options in the driver's own words, the members by their devices.
func (l *link) driver() []setting {
	out := []setting{{"mode", l.Bond.Mode}}
	if l.Bond.MIIMon > 0 {
		out = append(out, setting{"miimon", strconv.Itoa(l.Bond.MIIMon)})
	}
	for _, s := range l.bonding {
		if p := l.primary(); s.key == "primary" && p != nil {
			s.value = p.device
		}
		out = append(out, s)
	}
	return out
}

// primary returns the member that a bond prefers, nil when there is none.
func (l *link) primary() *link {
	for _, s := range l.bonding {
		for _, part := range l.below {
			if s.key == "primary" && (s.value == part.Name || s.value == part.device) {
				return part
			}
		}
	}
	return nil
}

// joined returns settings as words KEY=VALUE, or with another mark between.
func joined(all []setting, mark string) string {
	var out []string
	for _, s := range all {
		out = append(out, s.key+mark+s.value)
	}
	return strings.Join(out, " ")
}
