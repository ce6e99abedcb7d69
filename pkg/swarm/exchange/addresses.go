package exchange

import (
	"net/netip"
	"time"
)

const (
	maxAddresses = 1000
	redialFirst  = 500 * time.Millisecond // after a failure, doubled up to redialMost
	redialMost   = 8 * time.Second
	// settled is how long a connection must last for the next to be tried soon.
	settled = 10 * time.Second
	// A peer that sent a wrong piece is left alone; a head for a shorter time, since its file may be mended.
	banNode = 10 * time.Minute
	banHead = 15 * time.Second
	maxBans = 1000
)

// addresses are where peers listen, as trackers tell, and when to try them next.
type addresses struct {
	known  map[netip.AddrPort]*address
	banned map[netip.Addr]time.Time // until when
}

type address struct {
	next time.Time
	wait time.Duration
	busy bool // dialled, or connected
	seen time.Time
}

func newAddresses() *addresses {
	return &addresses{known: map[netip.AddrPort]*address{}, banned: map[netip.Addr]time.Time{}}
}

// add takes in what a tracker tells. Of too many, the one that was not told of for longest goes.
func (a *addresses) add(list []netip.AddrPort, now time.Time) {
	for _, at := range list {
		if k := a.known[at]; k != nil {
			k.seen = now
			continue
		}
		if len(a.known) >= maxAddresses && !a.drop() {
			return
		}
		a.known[at] = &address{next: now, wait: redialFirst, seen: now}
	}
}

func (a *addresses) drop() bool {
	var oldest netip.AddrPort
	for at, k := range a.known {
		if !k.busy && (!oldest.IsValid() || k.seen.Before(a.known[oldest].seen)) {
			oldest = at
		}
	}
	delete(a.known, oldest)
	return oldest.IsValid()
}

// due returns up to n addresses to dial now, and marks them as busy.
func (a *addresses) due(now time.Time, n int) (list []netip.AddrPort) {
	for at, k := range a.known {
		if len(list) >= n {
			break
		}
		if !k.busy && !now.Before(k.next) && !a.isBanned(at.Addr(), now) {
			k.busy = true
			list = append(list, at)
		}
	}
	return list
}

// ended notes that an address is free again, after a connection of some time or none at all.
func (a *addresses) ended(at netip.AddrPort, lasted time.Duration, now time.Time) {
	k := a.known[at]
	if k == nil {
		return
	}
	k.busy = false
	if lasted >= settled {
		k.wait = redialFirst
	}
	k.next = now.Add(k.wait)
	k.wait = min(2*k.wait, redialMost)
}

// forget drops an address: it is not dialled any more.
func (a *addresses) forget(at netip.AddrPort) { delete(a.known, at) }

// ban leaves a peer alone for a while.
func (a *addresses) ban(at netip.Addr, k Kind, now time.Time) {
	if len(a.banned) >= maxBans {
		clear(a.banned)
	}
	d := banNode
	if k == Head {
		d = banHead
	}
	a.banned[at] = now.Add(d)
}

func (a *addresses) isBanned(at netip.Addr, now time.Time) bool {
	until, ok := a.banned[at]
	if ok && !now.Before(until) {
		delete(a.banned, at)
		ok = false
	}
	return ok
}
