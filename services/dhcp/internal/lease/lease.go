// Package lease keeps the addresses that strangers use for a while.
package lease

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	dhcpv1 "github.com/luna-hpc/luna/proto/dhcp/v1"
	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

const (
	// slack is how much longer than its lease an event stays on the bus: the
	// clock of the bus may jump by a day. Readers go by the lease's own end.
	slack = 25 * time.Hour
	// ahead is by how much the clock of another head may be ahead.
	ahead = time.Minute
)

// Lease is an address that a stranger may use until a time.
type Lease struct {
	MAC       plan.MAC
	Addr      netip.Addr
	NetworkID string
	Head      string
	Hostname  string
	Granted   time.Time
	Expires   time.Time
	// offered says that the address was not yet asked for; it is not written anywhere.
	offered bool
	// before is the lease that this one renews: what holds if this cannot be kept.
	before *Lease
}

// Live tells whether the lease holds at a time.
func (l Lease) Live(now time.Time) bool { return l.Expires.After(now) }

// early tells whether the lease was granted by a clock that was ahead of now.
func (l Lease) early(now time.Time) bool {
	return l.Granted.Round(0).After(now.Round(0).Add(ahead)) // as the clocks show it
}

// heard returns a lease that was heard of at a time. It ends when it says, but
// lasts no longer than if it was granted now, and jumps of the clock from now on
// do not move its end.
func (l Lease) heard(now time.Time) Lease {
	l.Expires = now.Add(min(l.Expires.Sub(now), l.Expires.Sub(l.Granted)))
	return l
}

// Proto returns the lease as a message.
func (l Lease) Proto() *dhcpv1.Lease {
	return &dhcpv1.Lease{
		Mac: l.MAC.String(), Address: l.Addr.String(), NetworkId: l.NetworkID, Head: l.Head, Hostname: l.Hostname,
		GrantedAt: l.Granted.UTC().Format(time.RFC3339Nano), ExpiresAt: l.Expires.UTC().Format(time.RFC3339Nano),
	}
}

// Parse reads a lease from a message.
func Parse(m *dhcpv1.Lease) (l Lease, err error) {
	var ok bool
	if l.MAC, ok = plan.ParseMAC(m.Mac); !ok {
		return l, fmt.Errorf("lease has no MAC: %q", m.Mac)
	}
	if l.Addr, err = netip.ParseAddr(m.Address); err != nil {
		return l, fmt.Errorf("lease of %s: %w", m.Mac, err)
	}
	if l.Granted, err = time.Parse(time.RFC3339Nano, m.GrantedAt); err != nil {
		return l, fmt.Errorf("lease of %s: %w", m.Mac, err)
	}
	if l.Expires, err = time.Parse(time.RFC3339Nano, m.ExpiresAt); err != nil {
		return l, fmt.Errorf("lease of %s: %w", m.Mac, err)
	}
	l.NetworkID, l.Head, l.Hostname = m.NetworkId, m.Head, m.Hostname
	return l, nil
}

// Entry returns the event that tells the bus of the lease.
func (l Lease) Entry(now time.Time) (outbox.Entry, error) {
	data, err := wire.Marshal(l.Proto())
	if err != nil {
		return outbox.Entry{}, fmt.Errorf("encode lease of %s: %w", l.MAC, err)
	}
	ttl := max(l.Expires.Sub(now), 0) + slack
	mac := strings.ReplaceAll(l.MAC.String(), ":", "")
	return outbox.Entry{Subject: subject.Lease(mac), Data: data, TTL: ttl.Round(time.Second), Made: now}, nil
}
