// Package lookup answers the plain forms of dig and nslookup, which operators use in install scripts.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Resolver asks name servers.
type Resolver struct {
	// Config is the path of resolv.conf(5).
	Config string
	// Timeout of one try, and how many there are for each server.
	Timeout time.Duration
	Tries   int
}

// NewResolver returns the Resolver of this machine.
func NewResolver() Resolver {
	return Resolver{Config: "/etc/resolv.conf", Timeout: 3 * time.Second, Tries: 2}
}

// answer is what a server said, and which.
type answer struct {
	*dns.Msg
	server string
	took   time.Duration
}

// servers returns where to ask, as addresses with ports: server when given,
// else those of resolv.conf, with the domains to search.
func (r Resolver) servers(ctx context.Context, server, port string) (servers, search []string, err error) {
	if server != "" {
		if _, err := netip.ParseAddr(server); err == nil {
			return []string{net.JoinHostPort(server, port)}, nil, nil
		}
		found, err := net.DefaultResolver.LookupHost(ctx, server)
		if err != nil {
			return nil, nil, fmt.Errorf("couldn't get address for '%s': %w", server, err)
		}
		return []string{net.JoinHostPort(found[0], port)}, nil, nil
	}
	conf, err := dns.ClientConfigFromFile(r.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("read name servers: %w", err)
	}
	for _, s := range conf.Servers {
		servers = append(servers, net.JoinHostPort(s, port))
	}
	if len(servers) == 0 {
		return nil, nil, fmt.Errorf("%s names no server", r.Config)
	}
	return servers, conf.Search, nil
}

// ask asks each server in turn until one answers.
func (r Resolver) ask(ctx context.Context, servers []string, name string, kind uint16) (answer, error) {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), kind)
	query.SetEdns0(1232, false)
	var errs []error
	for range max(r.Tries, 1) {
		for _, server := range servers {
			reply, took, err := r.exchange(ctx, query, server)
			if err == nil {
				return answer{reply, server, took}, nil
			}
			errs = append(errs, err)
		}
	}
	return answer{}, fmt.Errorf("connection timed out; no servers could be reached: %w", errors.Join(errs...))
}

// exchange asks over UDP, and over TCP when the answer does not fit.
func (r Resolver) exchange(ctx context.Context, query *dns.Msg, server string) (*dns.Msg, time.Duration, error) {
	client := dns.Client{Timeout: r.Timeout}
	reply, took, err := client.ExchangeContext(ctx, query, server)
	if err == nil && reply.Truncated {
		client.Net = "tcp"
		reply, took, err = client.ExchangeContext(ctx, query, server)
	}
	return reply, took, err
}

// reverse returns the name to ask for an address's name.
func reverse(address string) (string, error) {
	name, err := dns.ReverseAddr(address)
	if err != nil {
		return "", fmt.Errorf("'%s' is no address", address)
	}
	return name, nil
}

// kind returns the type of a record as people type it.
func kind(word string) (uint16, bool) {
	k, ok := dns.StringToType[strings.ToUpper(word)]
	return k, ok
}

// data returns the part of a record after its header.
func data(rr dns.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }
