package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/miekg/dns"
)

const (
	// patience is how long a question waits for its answer before it is asked again.
	patience = 250 * time.Millisecond
	// limit is how long a change may take until it shows; then something is broken.
	limit = 30 * time.Second
	// breath is how long a client waits before it asks again, and look how long one
	// that must not keep a service from its work.
	breath, look = time.Millisecond, 10 * time.Millisecond
)

// probes are a machine's clients, on the client's card. Each asks once and says
// whether the answer is the one that is waited for.
type probes struct {
	mac   net.HardwareAddr
	names *dns.Conn
	lease *nclient4.Client
	web   *http.Client
}

func (s *site) newProbes(mac net.HardwareAddr) (*probes, error) {
	dial := func(network, address string) (c net.Conn, err error) {
		err = s.client.Do(func() error { c, err = (&net.Dialer{Timeout: patience}).Dial(network, address); return err })
		return c, err
	}
	p := &probes{mac: mac, web: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) { return dial(network, address) }}}}
	c, err := dial("udp", headAddress+":53")
	if err != nil {
		return nil, err
	}
	p.names = &dns.Conn{Conn: c}
	err = s.client.Do(func() (err error) {
		p.lease, err = nclient4.New("eth0", nclient4.WithHWAddr(mac), nclient4.WithTimeout(patience), nclient4.WithRetry(1))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("DHCP client: %w", err)
	}
	return p, nil
}

func (p *probes) close() {
	_ = p.names.Close()
	_ = p.lease.Close()
	p.web.CloseIdleConnections()
}

// name asks for the address of a name over UDP.
func (p *probes) name(name, address string) error {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	if err := p.names.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := p.names.WriteMsg(q); err != nil {
		return err
	}
	for {
		rep, err := p.names.ReadMsg()
		if err != nil {
			return err
		}
		if rep.Id != q.Id {
			continue // late, of an earlier question
		}
		for _, rr := range rep.Answer {
			if a, ok := rr.(*dns.A); ok && a.A.String() == address {
				return nil
			}
		}
		return fmt.Errorf("%s is %v, not %s", name, rep.Answer, address)
	}
}

// offer asks for an address with a DISCOVER.
func (p *probes) offer(ctx context.Context, address string) error {
	offer, err := p.lease.DiscoverOffer(ctx, dhcpv4.WithBroadcast(true))
	if err != nil {
		return err
	}
	if got := offer.YourIPAddr.String(); got != address {
		return fmt.Errorf("%s is offered %s, not %s", p.mac, got, address)
	}
	return nil
}

// script asks what the machine shall boot.
func (p *probes) script(ctx context.Context, word string) error {
	query := url.Values{"step": {"discovery"}, "hwdata": {"PC|" + p.mac.String()}}
	text, err := p.get(ctx, "/luna?"+query.Encode())
	if err != nil {
		return err
	}
	if !strings.Contains(" "+text+" ", word) {
		return fmt.Errorf("the script of %s has no %q: %s", p.mac, word, text)
	}
	return nil
}

// until asks again and again until the answer is right.
func until(ctx context.Context, pause time.Duration, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-time.After(pause):
		}
	}
}
