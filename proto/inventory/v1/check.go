package inventoryv1

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
)

var (
	label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	card  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,14}$`)
	word  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// CheckHostName wants one DNS label in lower case (RFC 1123): the names of nodes.
func CheckHostName(s string) error {
	if !label.MatchString(s) {
		return fmt.Errorf("name %q must be letters a-z, digits and inner hyphens, at most 63", s)
	}
	return nil
}

// CheckDomain wants DNS labels with dots between them: the names of networks.
func CheckDomain(s string) error {
	if len(s) > 200 {
		return fmt.Errorf("domain %q is longer than 200 characters", s)
	}
	for _, l := range strings.Split(s, ".") {
		if !label.MatchString(l) {
			return fmt.Errorf("domain %q must be labels of letters a-z, digits and inner hyphens with dots between them", s)
		}
	}
	return nil
}

// CheckName wants a word of letters, digits, dots, underscores and hyphens.
func CheckName(s string) error {
	if !plain.MatchString(s) {
		return fmt.Errorf("name %q must be 1 to 63 letters, digits, dots, underscores or hyphens and begin with a letter or digit", s)
	}
	return nil
}

// CheckInterface wants the name of a network card, at most 15 characters.
func CheckInterface(s string) error {
	if !card.MatchString(s) {
		return fmt.Errorf("interface %q must be 1 to 15 letters, digits, dots, colons, underscores or hyphens", s)
	}
	return nil
}

// CheckID wants a word that can stand in a subject: the ids of commands.
func CheckID(s string) error {
	if !word.MatchString(s) {
		return fmt.Errorf("id %q must be 1 to 64 letters, digits, underscores or hyphens", s)
	}
	return nil
}

// CheckLine wants printable text without a line break.
func CheckLine(what, s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s must be one line of printable characters", what)
	}
	return nil
}

// CheckText wants text without control characters but tabs and line breaks, at most 512 KiB.
func CheckText(what, s string) error {
	if len(s) > 512<<10 {
		return fmt.Errorf("%s is longer than 512 KiB", what)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return fmt.Errorf("%s holds control characters", what)
	}
	return nil
}

// ParseMAC returns an Ethernet address as 52:54:00:00:00:01.
func ParseMAC(s string) (string, error) {
	m, err := net.ParseMAC(s)
	if err != nil && len(s) == 12 {
		m, err = net.ParseMAC(s[0:4] + "." + s[4:8] + "." + s[8:12])
	}
	if err != nil || len(m) != 6 {
		return "", fmt.Errorf("MAC %q must be six bytes in hex, as in 52:54:00:00:00:01", s)
	}
	if m[0]&1 == 1 || m.String() == "00:00:00:00:00:00" {
		return "", fmt.Errorf("MAC %q is no address of one network card", s)
	}
	return m.String(), nil
}

// ParseAddress returns an IP address without a zone.
func ParseAddress(what, s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%s %q must be an IP address, as in 10.30.0.1", what, s)
	}
	return a.Unmap(), nil
}

// Words returns the words of a list with commas, as they are typed.
func Words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// ParseAddresses returns the addresses of a comma list.
func ParseAddresses(what, s string) ([]string, error) {
	var all []string
	for _, part := range Words(s) {
		a, err := ParseAddress(what, part)
		if err != nil {
			return nil, err
		}
		all = append(all, a.String())
	}
	return all, nil
}
