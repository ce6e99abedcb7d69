package netfile

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// pairs returns what a mapping has; nothing for any other node.
func pairs(n *yaml.Node) []pair {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, pair{n.Content[i], n.Content[i+1]})
	}
	return out
}

// child returns the value of a key, nil when a mapping has none.
func child(n *yaml.Node, key string) *yaml.Node {
	for _, p := range pairs(n) {
		if p.key.Value == key {
			return p.value
		}
	}
	return nil
}

// endOf returns the line after the n-th pair; the last ends where the mapping does.
func endOf(all []pair, n, last int) int {
	if n+1 < len(all) {
		return all[n+1].key.Line
	}
	return last
}

// comment makes comments of lines from one to before another, counted from 1.
func comment(lines []string, from, to int) {
	for n := from - 1; n < min(to-1, len(lines)); n++ {
		if t := strings.TrimSpace(lines[n]); t != "" && t[0] != '#' {
			lines[n] = "# luna: " + lines[n]
		}
	}
}

// isPlanOf tells whether a definition is about one of the links alone: by its
// name, or by the card that it matches. A pattern may match other cards too:
// there the order of names decides.
func isPlanOf(p pair, links []*link) bool {
	match := child(p.value, "match")
	device, mac := p.key.Value, ""
	if match != nil {
		device = ""
		if n := child(match, "name"); n != nil {
			device = n.Value
		}
		if n := child(match, "macaddress"); n != nil {
			mac = n.Value
		}
	}
	return slices.ContainsFunc(links, func(l *link) bool {
		return p.key.Value == planID(l) || device != "" && device == l.device || mac != "" && l.isCard() && strings.EqualFold(mac, l.MAC)
	})
}
