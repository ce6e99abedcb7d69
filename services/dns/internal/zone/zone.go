// Package zone holds the zones that the head is authoritative for and finds
// what they answer.
package zone

import (
	"slices"
	"sort"
	"strings"

	"github.com/miekg/dns"
)

// Set is all zones of one revision of the inventory; it never changes once built.
type Set struct {
	// Revision is the inventory's sequence, and the serial of every zone.
	Revision uint64
	zones    map[string]*Zone
}

// Zone is one origin with its records.
type Zone struct {
	// Origin is the zone's name in lower case with a final dot.
	Origin string
	soa    *dns.SOA
	// names holds the records of each name in lower case; a name that only has
	// names below it holds none (RFC 4592 section 2.2.2).
	names map[string][]dns.RR
	// cuts are the names that are delegated elsewhere.
	cuts map[string]bool
}

// NewSet returns a set without zones.
func NewSet(revision uint64) *Set { return &Set{Revision: revision, zones: map[string]*Zone{}} }

// Origins returns the origins of all zones, sorted.
func (s *Set) Origins() []string {
	all := make([]string, 0, len(s.zones))
	for o := range s.zones {
		all = append(all, o)
	}
	sort.Strings(all)
	return all
}

// Zone returns the zone with an origin; nil when there is none.
func (s *Set) Zone(origin string) *Zone { return s.zones[dns.CanonicalName(origin)] }

// Find returns the zone with the longest origin that a name lies in; nil when
// the name lies in none.
func (s *Set) Find(name string) *Zone {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if z := s.zones[name[off:]]; z != nil {
			return z
		}
	}
	return s.zones["."]
}

// open returns the zone with an origin, made with its SOA and NS, and room for
// some names, when it is new.
func (s *Set) open(origin, ns string, times Times, names int) *Zone {
	if z := s.zones[origin]; z != nil {
		return z
	}
	z := &Zone{Origin: origin, names: make(map[string][]dns.RR, names), cuts: map[string]bool{}}
	z.soa = &dns.SOA{
		Hdr: header(origin, dns.TypeSOA, times.TTL), Ns: ns, Mbox: "hostmaster." + origin, Serial: uint32(s.Revision),
		Refresh: 3600, Retry: 600, Expire: 7 * 86400, Minttl: times.Negative,
	}
	z.add(z.soa)
	z.add(&dns.NS{Hdr: header(origin, dns.TypeNS, times.TTL), Ns: ns})
	s.zones[origin] = z
	return z
}

func header(name string, t uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
}

// has reports whether a name has records of its own.
func (z *Zone) has(name string) bool { return len(z.names[name]) > 0 }

// add puts a record, whose name is in lower case and in the zone, into it.
func (z *Zone) add(rr dns.RR) {
	name := rr.Header().Name
	old, there := z.names[name]
	if slices.ContainsFunc(old, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) }) {
		return
	}
	z.names[name] = append(old, rr)
	if rr.Header().Rrtype == dns.TypeNS && name != z.Origin {
		z.cuts[name] = true
	}
	for !there && len(name) > len(z.Origin) {
		off, end := dns.NextLabel(name, 0)
		if name = name[off:]; end || len(name) <= len(z.Origin) {
			return
		}
		if _, there = z.names[name]; !there {
			z.names[name] = nil
		}
	}
}

// String returns the zone as a zone file, SOA first, then by name and type.
func (z *Zone) String() string {
	var rrs []dns.RR
	for _, of := range z.names {
		rrs = append(rrs, of...)
	}
	slices.SortFunc(rrs, func(a, b dns.RR) int { return strings.Compare(sortKey(a), sortKey(b)) })
	var b strings.Builder
	for _, rr := range rrs {
		b.WriteString(rr.String() + "\n")
	}
	return b.String()
}

func sortKey(rr dns.RR) string {
	h := rr.Header()
	labels := dns.SplitDomainName(h.Name)
	slices.Reverse(labels)
	first := map[uint16]string{dns.TypeSOA: "0", dns.TypeNS: "1"}[h.Rrtype]
	return strings.Join(labels, ".") + " " + first + rr.String()
}
