// Package machine reads what a booting machine says of itself.
package machine

import (
	"net"
	"slices"
	"strings"
	"unicode"
)

// Limits of what is read; a machine has fewer.
const (
	maxMACs  = 32
	maxAsset = 64
)

// MAC is an Ethernet address as 52:54:00:00:00:01.
type MAC string

// ParseMAC reads an Ethernet address with colons, dashes or dots; ok is false
// for anything else, and for addresses that no network card has.
func ParseMAC(s string) (mac MAC, ok bool) {
	hw, err := net.ParseMAC(strings.TrimSpace(s))
	if err != nil || len(hw) != 6 || hw[0]&1 != 0 || hw.String() == "00:00:00:00:00:00" {
		return "", false
	}
	return MAC(hw.String()), true
}

// Token returns the address as 12 hex digits, as it stands in subjects.
func (m MAC) Token() string { return strings.ReplaceAll(string(m), ":", "") }

// Machine is what hwdata says.
type Machine struct {
	// Asset is the firmware's asset tag without unprintable characters. It
	// identifies nothing: many machines have the same one.
	Asset string
	// MACs are the machine's addresses in the order given, each once.
	MACs []MAC
}

// Parse reads ASSET|MAC|MAC… What is no MAC is passed over; the first field is
// never taken for one.
func Parse(hwdata string) Machine {
	asset, rest, _ := strings.Cut(hwdata, "|")
	m := Machine{Asset: printable(asset)}
	for field := range strings.SplitSeq(rest, "|") {
		if len(m.MACs) == maxMACs {
			break
		}
		if mac, ok := ParseMAC(field); ok && !slices.Contains(m.MACs, mac) {
			m.MACs = append(m.MACs, mac)
		}
	}
	return m
}

// Has tells whether the machine has an address.
func (m Machine) Has(mac string) bool {
	want, ok := ParseMAC(mac)
	return ok && slices.Contains(m.MACs, want)
}

// HWData writes the machine as hwdata with MACs only, which is safe to stand
// in any script and URL.
func (m Machine) HWData() string {
	var b strings.Builder
	for _, mac := range m.MACs {
		b.WriteString("|" + string(mac))
	}
	return b.String()
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	for i := range s {
		if i >= maxAsset {
			return s[:i]
		}
	}
	return s
}
