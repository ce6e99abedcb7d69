package zone

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// entry is one record or directive of free zone text, with the lines it stands on.
type entry struct {
	line int
	text string
}

// maxRecords is how many records the free text of one zone may give: one
// $GENERATE of all numbers, and what people type. What comes after is not read.
const maxRecords = 70_000

var errTooMany = fmt.Errorf("the text gives more than %d records: the rest of it is left out", maxRecords)

// include adds the free text of a network to its zone and its reverse zones.
// In the reverse text relative names are below the first reverse zone.
func (b *builder) include(n *network) {
	b.text(n.Name, "include", n.Include, n.zone.Origin, []string{n.zone.Origin})
	reverse := Reverse(n.prefix)
	b.text(n.Name, "rev_include", n.RevInclude, reverse[0], reverse)
}

// mostWarnings is how many lines of one text the log tells of.
const mostWarnings = 20

func (b *builder) text(network, field, text, origin string, within []string) {
	owner := origin
	ttl := b.times.TTL
	left, refused := maxRecords, 0
	for _, e := range entries(text) {
		refuse := func(err error) {
			if refused++; refused <= mostWarnings {
				b.log.Warn("line of a network's zone text is refused", "network", network, "field", field, "line", e.line, "err", err)
			}
		}
		if done, err := directive(e.text, &origin, &ttl); done || err != nil {
			if err != nil {
				refuse(err)
			}
			continue
		}
		rrs, err := parseEntry(e.text, owner, origin, ttl, left)
		left -= len(rrs)
		if err != nil {
			refuse(err)
			if errors.Is(err, errTooMany) {
				return
			}
			continue
		}
		for _, rr := range rrs {
			owner = rr.Header().Name
			if err := b.addText(rr, within); err != nil {
				refuse(err)
			}
		}
	}
}

// parseEntry reads one record, or those of one $GENERATE. Text that begins with
// a blank is about the owner before it (RFC 1035 section 5.1). More than most are an error.
func parseEntry(text, owner, origin string, ttl uint32, most int) ([]dns.RR, error) {
	if text[0] == ' ' || text[0] == '\t' {
		text = owner + text
	}
	zp := dns.NewZoneParser(strings.NewReader(text+"\n"), origin, "")
	zp.SetDefaultTTL(ttl)
	var rrs []dns.RR
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if len(rrs) == most {
			return rrs, errTooMany
		}
		rrs = append(rrs, rr)
	}
	return rrs, zp.Err()
}

// directive takes $ORIGIN and $TTL; done says that the text was one.
func directive(text string, origin *string, ttl *uint32) (done bool, err error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return false, nil
	}
	switch strings.ToUpper(words[0]) {
	case "$ORIGIN":
		name := words[1]
		if !dns.IsFqdn(name) {
			name += "." + *origin
		}
		if _, ok := dns.IsDomainName(name); !ok {
			return true, fmt.Errorf("origin %q is no name", words[1])
		}
		*origin = dns.CanonicalName(name)
		return true, nil
	case "$TTL":
		rr, err := dns.NewRR(". " + words[1] + " IN A 0.0.0.0")
		if err != nil || rr == nil {
			return true, fmt.Errorf("TTL %q is no time", words[1])
		}
		*ttl = rr.Header().Ttl
		return true, nil
	}
	return false, nil
}

// addText adds a record of free text if it lies in one of the origins and fits
// what is there (RFC 2181 section 10.1: nothing stands beside a CNAME).
func (b *builder) addText(rr dns.RR, within []string) error {
	h := rr.Header()
	h.Name = dns.CanonicalName(h.Name)
	z := b.set.Find(h.Name)
	switch {
	case z == nil || !slices.Contains(within, z.Origin):
		return fmt.Errorf("%s lies outside of %s", h.Name, within[0])
	case h.Class != dns.ClassINET:
		return fmt.Errorf("%s is not of class IN", h.Name)
	case dns.Len(rr) == dns.Len(&dns.ANY{Hdr: *h}):
		return fmt.Errorf("%s has no data", h.Name)
	case h.Rrtype == dns.TypeSOA:
		return fmt.Errorf("the zone has its own SOA")
	}
	for _, old := range z.names[h.Name] {
		if (old.Header().Rrtype == dns.TypeCNAME) != (h.Rrtype == dns.TypeCNAME) {
			return fmt.Errorf("%s would have a CNAME beside other records", h.Name)
		}
	}
	z.add(rr)
	return nil
}

// entries cuts zone text where a line ends outside of parentheses.
func entries(text string) []entry {
	var all []entry
	var open entry
	depth := 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if depth == 0 {
			open = entry{line: i + 1}
		} else {
			open.text += "\n"
		}
		open.text += line
		if depth = max(depth+parens(line), 0); depth == 0 && !blank(open.text) {
			all = append(all, open)
		}
	}
	if depth > 0 {
		all = append(all, open)
	}
	return all
}

func blank(text string) bool {
	text = strings.TrimSpace(text)
	return text == "" || text[0] == ';'
}

// parens counts the parentheses that a line opens less those that it closes.
func parens(line string) int {
	n, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			return n
		case c == '(':
			n++
		case c == ')':
			n--
		}
	}
	return n
}
