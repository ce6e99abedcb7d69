package zone

import (
	"strings"

	"github.com/miekg/dns"
)

// chain bounds how many CNAMEs are followed for one question.
const chain = 8

// Lookup fills m, a reply to a question for a name in lower case, from the set.
// Outside its zones it refuses.
func (s *Set) Lookup(m *dns.Msg, name string, qtype uint16) {
	z := s.Find(name)
	if z == nil || qtype == dns.TypeAXFR || qtype == dns.TypeIXFR {
		m.Rcode = dns.RcodeRefused
		return
	}
	m.Authoritative = true
	for range chain {
		target := z.answer(m, name, qtype)
		if target == "" {
			return
		}
		name = dns.CanonicalName(target)
		if z = s.Find(name); z == nil {
			return
		}
	}
}

// answer puts what the zone knows of a name into m; a CNAME's target comes
// back to be followed.
func (z *Zone) answer(m *dns.Msg, name string, qtype uint16) (target string) {
	if cut := z.cutAbove(name); cut != "" {
		z.refer(m, cut)
		return ""
	}
	rrs, there := z.names[name]
	if !there {
		if rrs, there = z.wildcard(name); !there {
			m.Rcode = dns.RcodeNameError
			m.Ns = append(m.Ns, z.negative())
			return ""
		}
	}
	found := len(m.Answer)
	for _, rr := range rrs {
		t := rr.Header().Rrtype
		if t != qtype && qtype != dns.TypeANY && t != dns.TypeCNAME {
			continue
		}
		m.Answer = append(m.Answer, rr)
		if t == dns.TypeCNAME && qtype != dns.TypeCNAME && qtype != dns.TypeANY {
			return rr.(*dns.CNAME).Target
		}
	}
	if len(m.Answer) == found {
		m.Ns = append(m.Ns, z.negative())
	}
	return ""
}

// negative is the SOA as it stands in denials: its TTL is how long they hold (RFC 2308 section 3).
func (z *Zone) negative() dns.RR {
	soa := *z.soa
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	return &soa
}

// cutAbove returns the delegated name that a name is or lies below; usually none.
func (z *Zone) cutAbove(name string) string {
	if len(z.cuts) == 0 {
		return ""
	}
	for off, end := 0, false; !end && len(name)-off > len(z.Origin); off, end = dns.NextLabel(name, off) {
		if z.cuts[name[off:]] {
			return name[off:]
		}
	}
	return ""
}

// refer answers with a delegation and the addresses that are known of it.
func (z *Zone) refer(m *dns.Msg, cut string) {
	m.Authoritative = len(m.Answer) > 0
	for _, rr := range z.names[cut] {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		m.Ns = append(m.Ns, ns)
		for _, glue := range z.names[dns.CanonicalName(ns.Ns)] {
			if t := glue.Header().Rrtype; t == dns.TypeA || t == dns.TypeAAAA {
				m.Extra = append(m.Extra, glue)
			}
		}
	}
}

// wildcard returns the records of "*" below the closest name that exists, under
// the name that was asked for (RFC 4592 section 3.3.1).
func (z *Zone) wildcard(name string) (rrs []dns.RR, there bool) {
	for off, end := dns.NextLabel(name, 0); !end && len(name)-off >= len(z.Origin); off, end = dns.NextLabel(name, off) {
		if _, exists := z.names[name[off:]]; !exists {
			continue
		}
		star, ok := z.names["*."+strings.TrimPrefix(name[off:], ".")]
		for _, rr := range star {
			rr = dns.Copy(rr)
			rr.Header().Name = name
			rrs = append(rrs, rr)
		}
		return rrs, ok
	}
	return nil, false
}
