package lookup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Nslookup does what nslookup does with args: NAME or ADDRESS, then a SERVER,
// with -type=TYPE (also -query=, -q=) and -port=N. It returns the exit status:
// 0 when there is an answer, else 1.
func (r Resolver) Nslookup(ctx context.Context, args []string, out, errOut io.Writer) int {
	q, err := r.parseNslookup(args)
	if err != nil {
		fmt.Fprintln(errOut, "nslookup:", err)
		return 1
	}
	servers, search, err := r.servers(ctx, q.server, q.port)
	if err != nil {
		fmt.Fprintln(errOut, "nslookup:", err)
		return 1
	}
	kinds := []uint16{q.kind}
	if q.kind == dns.TypeNone {
		kinds = []uint16{dns.TypeA, dns.TypeAAAA}
	}
	replies, err := r.search(ctx, servers, candidates(q.name, search), kinds)
	if err != nil {
		fmt.Fprintln(out, ";;", err)
		return 1
	}
	host, port, _ := net.SplitHostPort(replies[0].server)
	fmt.Fprintf(out, "Server:\t\t%s\nAddress:\t%s#%s\n\n", host, host, port)
	if found := show(out, replies); !found {
		fmt.Fprintf(out, "** server can't find %s: %s\n", q.name, reason(replies[0].Msg))
		return 1
	}
	return 0
}

func (r Resolver) parseNslookup(args []string) (question, error) {
	q := question{port: "53", kind: dns.TypeNone}
	for _, word := range args {
		option, value, _ := strings.Cut(word, "=")
		switch {
		case option == "-type" || option == "-query" || option == "-querytype" || option == "-q":
			k, ok := kind(value)
			if !ok {
				return q, fmt.Errorf("unknown type %s", value)
			}
			q.kind = k
		case option == "-port":
			q.port = value
		case strings.HasPrefix(word, "-"):
			return q, fmt.Errorf("option %s is not among those that this nslookup has", word)
		case q.name == "":
			q.name = word
		case q.server == "":
			q.server = word
		default:
			return q, fmt.Errorf("'%s' is too much: a name, then a server", word)
		}
	}
	if q.name == "" {
		return q, errors.New("a name is missing; this nslookup does not ask for one")
	}
	if _, err := netip.ParseAddr(q.name); err == nil && (q.kind == dns.TypeNone || q.kind == dns.TypePTR) {
		name, err := reverse(q.name)
		q.name, q.kind = name, dns.TypePTR
		return q, err
	}
	if _, ok := dns.IsDomainName(q.name); !ok {
		return q, fmt.Errorf("'%s' is not a legal name", q.name)
	}
	return q, nil
}

// candidates returns the names to try: a short name first in the domains to search.
func candidates(name string, search []string) []string {
	if dns.IsFqdn(name) {
		return []string{name}
	}
	var names []string
	for _, domain := range search {
		names = append(names, name+"."+domain)
	}
	if strings.Contains(name, ".") {
		return append([]string{name}, names...)
	}
	return append(names, name)
}

// search asks for each name until one has an answer of any kind.
func (r Resolver) search(ctx context.Context, servers, names []string, kinds []uint16) ([]answer, error) {
	var replies []answer
	for _, name := range names {
		replies = nil
		found := false
		for _, k := range kinds {
			a, err := r.ask(ctx, servers, name, k)
			if err != nil {
				return nil, err
			}
			found = found || len(a.Answer) > 0
			replies = append(replies, a)
		}
		if found {
			break
		}
	}
	return replies, nil
}

// show prints the answers and tells whether there was one.
func show(out io.Writer, replies []answer) bool {
	found := false
	for _, reply := range replies {
		for _, rr := range reply.Answer {
			found = true
			name := strings.TrimSuffix(rr.Header().Name, ".")
			switch rr := rr.(type) {
			case *dns.A:
				fmt.Fprintf(out, "Name:\t%s\nAddress: %s\n", name, rr.A)
			case *dns.AAAA:
				fmt.Fprintf(out, "Name:\t%s\nAddress: %s\n", name, rr.AAAA)
			case *dns.PTR:
				fmt.Fprintf(out, "%s\tname = %s\n", name, rr.Ptr)
			case *dns.CNAME:
				fmt.Fprintf(out, "%s\tcanonical name = %s\n", name, rr.Target)
			default:
				fmt.Fprintf(out, "%s\t%s %s\n", name, dns.TypeToString[rr.Header().Rrtype], data(rr))
			}
		}
	}
	return found
}

func reason(m *dns.Msg) string {
	if m.Rcode == dns.RcodeSuccess {
		return "No answer"
	}
	return dns.RcodeToString[m.Rcode]
}
