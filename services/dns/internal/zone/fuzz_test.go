package zone

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/miekg/dns"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// FuzzZones builds zones of any names and texts: each must be a zone that
// others can read, all of it inside its origin, and what is no part of the
// texts must be answered as before.
func FuzzZones(f *testing.F) {
	f.Add("node009", "gpu.example", "ns1", "eth1", "printer IN A 10.30.9.9\n", "9.9 PTR printer.cluster.\n")
	for _, bad := range []string{"", " ", ".", "..", "a..b", "a b", "a\nb", "a\tb", "a.", "*", "@", "\\", "\\000", "\\.", "\"", "(", ")", "(((", ";", "$ORIGIN .", "$ORIGIN evil.\na A 1.2.3.4", "$TTL 9999999999",
		"$INCLUDE /etc/passwd", "$GENERATE 1-3 a$ A 10.30.9.$", "$GENERATE 1-9999999 a$ A 10.30.0.1", "$GENERATE 1-65000 a${0,4096,d} TXT $", "@ IN SOA a. b. 1 1 1 1 1", "@ IN NS evil.", "cluster. A 6.6.6.6",
		"node001 A 6.6.6.6", "evil. A 6.6.6.6", "* A 6.6.6.6", "node001 CNAME evil.", "a CNAME a", "a DNAME evil.", "a CH TXT x", "a TYPE65535 \\# 1 00", "a A", "\x00", "\xff\xfe", "\u00e9", "a\r\nb",
		strings.Repeat("a", 64), strings.Repeat("a.", 130), strings.Repeat("x", 70000), strings.Repeat("(\n", 3000)} {
		f.Add("node009", "gpu.example", "ns1", "eth1", bad, bad[:min(len(bad), 40000)])
	}
	for _, long := range []string{"a", strings.Repeat("a", 63), strings.Repeat("a.", 99) + "a", "node001", "cluster", "six", "10.in-addr.arpa", "arpa", "ipmi.site", "1"} {
		f.Add("node009", long, "ns1", "eth1", "", "")
		f.Add("node009", "gpu.example", long, "eth1", "", "")
		f.Add(strings.Repeat("n", 63), long, long, "Bond0.4094:1", "", "")
		f.Add(long, "cluster", "", "_", "", "")
	}
	f.Fuzz(func(t *testing.T, name, domain, ns, card, include, reverse string) {
		if !taken(name, domain, ns, card, include, reverse) {
			return // the inventory does not take it
		}
		facts := room()
		facts.Networks[0].Include, facts.Networks[0].RevInclude, facts.Networks[2].NsHostname = include, reverse, ns
		facts.Groups["G2"].Domain = domain
		facts.Nodes = append(facts.Nodes, &inventoryv1.Node{Id: "3", Name: name, GroupId: "G2", Addresses: []*inventoryv1.NodeAddress{
			{Interface: "BOOTIF", NetworkId: "N1", Address: "10.30.0.3"}, {Interface: card, NetworkId: "N3", Address: "10.31.18.3"}}})
		set := Build(facts, minute, slog.New(slog.DiscardHandler))
		all := 0
		for _, origin := range set.Origins() {
			all += readable(t, set.Zone(origin), origin)
		}
		if all > 2*maxRecords+1000 {
			t.Errorf("%d records of %d bytes of text", all, len(include)+len(reverse))
		}
		for _, q := range []struct {
			name string
			kind uint16
			text string
		}{{"node001.cluster.", dns.TypeA, "10.30.0.1"}, {"node001-bmc.ipmi.site.", dns.TypeA, "10.31.17.1"}, {"1.0.30.10.in-addr.arpa.", dns.TypePTR, "node001.cluster."}} {
			if !answers(set, q.name, q.kind, q.text) {
				t.Errorf("%s is no more %s", q.name, q.text)
			}
		}
	})
}

// taken tells whether the inventory takes the words and texts.
func taken(name, domain, ns, card, include, reverse string) bool {
	return inventoryv1.CheckHostName(name) == nil && (domain == "" || inventoryv1.CheckDomain(domain) == nil) &&
		(ns == "" || inventoryv1.CheckDomain(strings.TrimSuffix(ns, ".")) == nil) && inventoryv1.CheckInterface(card) == nil &&
		inventoryv1.CheckText("include", include) == nil && inventoryv1.CheckText("rev_include", reverse) == nil
}

// readable counts the records of a zone, which a parser and a packet must take.
func readable(t *testing.T, z *Zone, origin string) (count int) {
	t.Helper()
	text := z.String()
	p := dns.NewZoneParser(strings.NewReader(text), "", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		count++
		if !dns.IsSubDomain(origin, rr.Header().Name) {
			t.Errorf("%s is in the zone %s", rr, origin)
		}
		if count > 2000 {
			continue // those of $GENERATE are all alike
		}
		if _, err := dns.PackRR(rr, make([]byte, dns.MaxMsgSize), 0, nil, false); err != nil {
			t.Errorf("%s: %v", rr, err)
		}
	}
	if p.Err() != nil || count == 0 || strings.Count(text, "\n") != count {
		t.Errorf("zone %s: %v, %d records in %d lines:\n%.2000s", origin, p.Err(), count, strings.Count(text, "\n"), text)
	}
	return count
}

func answers(set *Set, name string, kind uint16, text string) bool {
	z := set.Find(name)
	if z == nil {
		return false
	}
	for _, rr := range z.names[name] {
		if rr.Header().Rrtype == kind && strings.HasSuffix(rr.String(), "\t"+text) {
			return true
		}
	}
	return false
}
