// Package hostlist reads and writes lists of host names such as node[001-003,7].
//
// The syntax is what python-hostlist and ClusterShell have in common: names
// with commas between them, and in a name any number of brackets that hold
// numbers and ranges with commas between them. A width written with zeros is
// kept. What the two read differently, such as [001-10], is refused.
package hostlist

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/luna-hpc/luna/pkg/fault"
)

// maxDigits is the longest number that is counted with.
const maxDigits = 18

// Expand returns the names of lists in the order in which they are first
// named, each once. Errors are Invalid and quote the list with the place of
// the fault, or say that there are more than limit names.
func Expand(limit int, lists ...string) ([]string, error) {
	var hosts []host
	total := 0
	for _, list := range lists {
		parsed, err := parse(list)
		if err != nil {
			return nil, err
		}
		for _, h := range parsed {
			if total += h.count(limit); total > limit {
				return nil, fault.Invalidf("more than %d names in %s: the limit is %d at a time", limit, short(list), limit)
			}
		}
		hosts = append(hosts, parsed...)
	}
	names := make([]string, 0, total)
	seen := make(map[string]bool, total)
	for _, h := range hosts {
		h.each(func(name string) {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		})
	}
	return names, nil
}

// host is one entry of a list: texts with a bracket between each two.
type host struct {
	texts    []string
	brackets [][]span
}

// span is one number or range of a bracket.
type span struct {
	low, high uint64
	// width is that of the numbers, filled with zeros; 0 is as wide as they are.
	width int
}

// count returns how many names an entry has, or limit+1 when they are more than limit.
func (h host) count(limit int) int {
	n := uint64(1)
	for _, b := range h.brackets {
		in := uint64(0)
		for _, s := range b {
			in = min(in+s.high-s.low+1, math.MaxUint32)
		}
		if n *= in; n > uint64(limit) {
			return limit + 1
		}
	}
	return int(n)
}

// each calls do for every name of an entry, the last bracket running fastest.
func (h host) each(do func(name string)) {
	var walk func(prefix string, at int)
	walk = func(prefix string, at int) {
		prefix += h.texts[at]
		if at == len(h.brackets) {
			do(prefix)
			return
		}
		for _, s := range h.brackets[at] {
			for n := s.low; n <= s.high; n++ {
				walk(prefix+s.text(n), at+1)
			}
		}
	}
	walk("", 0)
}

func (s span) text(n uint64) string {
	t := strconv.FormatUint(n, 10)
	if len(t) < s.width {
		return strings.Repeat("0", s.width-len(t)) + t
	}
	return t
}

// short quotes a list as far as it fits in a line.
func short(list string) string {
	if len(list) > 60 {
		list = list[:60] + "…"
	}
	return fmt.Sprintf("%q", list)
}
