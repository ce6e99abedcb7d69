package zone

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func prefix(t *testing.T, s string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask returns the reply as "RCODE aa | answers | authority | extra".
func ask(set *Set, name string, qtype uint16) string {
	m := new(dns.Msg)
	set.Lookup(m, name, qtype)
	aa := ""
	if m.Authoritative {
		aa = " aa"
	}
	return dns.RcodeToString[m.Rcode] + aa + " |" + short(m.Answer) + " |" + short(m.Ns) + " |" + short(m.Extra)
}

func short(rrs []dns.RR) string {
	var b strings.Builder
	for _, rr := range rrs {
		h := rr.Header()
		b.WriteString(" " + h.Name + " " + dns.TypeToString[h.Rrtype])
		if h.Rrtype != dns.TypeSOA {
			b.WriteString(" " + strings.TrimPrefix(rr.String(), h.String()))
		}
	}
	return b.String()
}

func TestLookups(t *testing.T) {
	f := room()
	f.Networks[0].Include += "\n*.apps A 10.30.9.11\nchild NS ns.child\nns.child A 10.30.9.12\nout CNAME www.example.org.\ndeep.in.side A 10.30.9.13\n"
	set := Build(f, minute, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		name string
		t    uint16
		want string
	}{
		{"node001.cluster.", dns.TypeA, "NOERROR aa | node001.cluster. A 10.30.0.1 | |"},
		{"node001.cluster.", dns.TypeAAAA, "NOERROR aa | node001.cluster. AAAA fd00:30::1 | |"},
		{"node001.cluster.", dns.TypeMX, "NOERROR aa | | cluster. SOA |"},
		{"node002.gpu.example.", dns.TypeA, "NOERROR aa | node002.gpu.example. A 10.30.0.2 | |"},
		{"node002.cluster.", dns.TypeA, "NXDOMAIN aa | | cluster. SOA |"},
		{"node001-bmc.ipmi.site.", dns.TypeA, "NOERROR aa | node001-bmc.ipmi.site. A 10.31.17.1 | |"},
		{"1.0.30.10.in-addr.arpa.", dns.TypePTR, "NOERROR aa | 1.0.30.10.in-addr.arpa. PTR node001.cluster. | |"},
		{"1.17.31.10.in-addr.arpa.", dns.TypePTR, "NOERROR aa | 1.17.31.10.in-addr.arpa. PTR node001-bmc.ipmi.site. | |"},
		{"2.0.30.10.in-addr.arpa.", dns.TypePTR, "NOERROR aa | 2.0.30.10.in-addr.arpa. PTR node002.gpu.example. | |"},
		{"cluster.", dns.TypeNS, "NOERROR aa | cluster. NS head1.cluster. | |"},
		{"www.cluster.", dns.TypeA, "NOERROR aa | www.cluster. CNAME printer.cluster. printer.cluster. A 10.30.9.9 | |"},
		{"out.cluster.", dns.TypeA, "NOERROR aa | out.cluster. CNAME www.example.org. | |"},
		{"any.apps.cluster.", dns.TypeA, "NOERROR aa | any.apps.cluster. A 10.30.9.11 | |"},
		{"any.apps.cluster.", dns.TypeTXT, "NOERROR aa | | cluster. SOA |"},
		{"in.side.cluster.", dns.TypeA, "NOERROR aa | | cluster. SOA |"},
		{"x.child.cluster.", dns.TypeA, "NOERROR | | child.cluster. NS ns.child.cluster. | ns.child.cluster. A 10.30.9.12"},
		{"example.org.", dns.TypeA, "REFUSED | | |"},
		{"cluster.", dns.TypeAXFR, "REFUSED | | |"},
		{"32.31.10.in-addr.arpa.", dns.TypePTR, "REFUSED | | |"},
	} {
		if got := ask(set, c.name, c.t); got != c.want {
			t.Errorf("%s %s\n got %s\nwant %s", c.name, dns.TypeToString[c.t], got, c.want)
		}
	}
}

func TestCNAMELoopEnds(t *testing.T) {
	f := room()
	f.Networks[0].Include = "a CNAME b\nb CNAME a\n"
	m := new(dns.Msg)
	Build(f, minute, slog.New(slog.DiscardHandler)).Lookup(m, "a.cluster.", dns.TypeA)
	if len(m.Answer) != chain {
		t.Errorf("%d answers", len(m.Answer))
	}
}

func TestQuotedParenthesesJoinNoLines(t *testing.T) {
	f := room()
	f.Networks[0].Include = "a TXT \"smile :(\"\nb A 10.30.9.1 ; (\nc TXT \\(\nd A 10.30.9.2\n"
	set := Build(f, minute, slog.New(slog.DiscardHandler))
	for _, name := range []string{"a.cluster.", "b.cluster.", "c.cluster.", "d.cluster."} {
		if !set.Find(name).has(name) {
			t.Errorf("%s is lost", name)
		}
	}
}

func FuzzZoneText(f *testing.F) {
	f.Add("a A 10.0.0.1\n$ORIGIN x\n$TTL 1h\n$GENERATE 1-3 n$ A 10.0.0.$\n(\n\"")
	f.Add("\t TXT \"a;b\" ; c\n@ NS a\\(.\n* A 1.1.1.1")
	f.Fuzz(func(t *testing.T, text string) {
		facts := room()
		facts.Networks[0].Include, facts.Networks[0].RevInclude = text, text
		set := Build(facts, minute, slog.New(slog.DiscardHandler))
		set.Lookup(new(dns.Msg), "a.b.cluster.", dns.TypeA)
	})
}
