package lease

import (
	"errors"
	"hash/fnv"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

// Why an address is not granted.
var (
	// ErrFull says that the range has no address left.
	ErrFull = errors.New("the range is full")
	// ErrNotYours says that the asker must not use the address.
	ErrNotYours = errors.New("the address is not the asker's")
	// ErrElsewhere says that only another head can know whether the asker may.
	ErrElsewhere = errors.New("the address is another head's to give")
)

// Table is the leases of all strangers in memory.
type Table struct {
	mu      sync.Mutex
	byMAC   map[plan.MAC]*Lease
	byAddr  map[netip.Addr]*Lease
	resting map[netip.Addr]time.Time
	told    map[plan.MAC]Lease // what was merged last
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{byMAC: map[plan.MAC]*Lease{}, byAddr: map[netip.Addr]*Lease{}, resting: map[netip.Addr]time.Time{}, told: map[plan.MAC]Lease{}}
}

// Offer sets an address of a network aside for a stranger, for a while: the one
// it has or had, else the one it would like, else one that follows from its MAC.
func (t *Table) Offer(mac plan.MAC, n *plan.Network, like netip.Addr, now time.Time, hold time.Duration) (netip.Addr, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byMAC[mac]
	if old != nil && old.Live(now) && n.Range.Contains(old.Addr) && t.usable(n, old.Addr, mac, now) {
		old.Expires = later(old.Expires, now.Add(hold), old.offered)
		return old.Addr, nil
	}
	addr, err := t.pick(mac, n, like, now)
	if err == nil {
		t.set(&Lease{MAC: mac, Addr: addr, NetworkID: n.ID, Granted: now, Expires: now.Add(hold), offered: true})
	}
	return addr, err
}

// later moves the end of an offer, never that of a lease.
func later(old, end time.Time, offered bool) time.Time {
	if offered {
		return end
	}
	return old
}

// pick finds a usable address for a stranger.
func (t *Table) pick(mac plan.MAC, n *plan.Network, like netip.Addr, now time.Time) (netip.Addr, error) {
	if old := t.byMAC[mac]; old != nil && n.Range.Contains(old.Addr) && t.usable(n, old.Addr, mac, now) {
		return old.Addr, nil
	}
	if n.Slice.Contains(like) && t.usable(n, like, mac, now) {
		return like, nil
	}
	h := fnv.New64a()
	h.Write(mac[:])
	size := n.Slice.Len()
	start := int(h.Sum64() % uint64(size))
	second := netip.Addr{} // one that somebody had before
	for i := range size {
		a := n.Slice.At((start + i) % size)
		if !t.usable(n, a, mac, now) {
			continue
		}
		if t.byAddr[a] == nil {
			return a, nil
		}
		if !second.IsValid() {
			second = a
		}
	}
	if second.IsValid() {
		return second, nil
	}
	return netip.Addr{}, ErrFull
}

// usable tells whether an address belongs to nobody else and does not rest.
func (t *Table) usable(n *plan.Network, a netip.Addr, mac plan.MAC, now time.Time) bool {
	if !n.Free(a, now) {
		return false
	}
	if l := t.byAddr[a]; l != nil && l.MAC != mac && l.Live(now) {
		return false
	}
	until, resting := t.resting[a]
	if resting && !until.After(now) {
		delete(t.resting, a)
		resting = false
	}
	return !resting
}

// Grant leases an address to a stranger that asked for it. The lease must be
// on disk before the stranger hears of it.
func (t *Table) Grant(want Lease, n *plan.Network, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byMAC[want.MAC]
	mine := old != nil && old.Addr == want.Addr
	switch {
	case !n.Range.Contains(want.Addr) || !t.usable(n, want.Addr, want.MAC, now):
		return ErrNotYours
	case mine:
	case old != nil && old.NetworkID == n.ID && old.Live(now):
		return ErrNotYours
	case !n.Slice.Contains(want.Addr):
		return ErrElsewhere
	}
	want.NetworkID, want.before = n.ID, nil
	if mine && !old.offered {
		before := *old
		before.before = nil
		want.before = &before
	}
	t.set(&want)
	return nil
}

// set puts a lease in the place of the stranger's and the address's old ones.
func (t *Table) set(l *Lease) {
	if old := t.byMAC[l.MAC]; old != nil && t.byAddr[old.Addr] == old {
		delete(t.byAddr, old.Addr)
	}
	if old := t.byAddr[l.Addr]; old != nil && t.byMAC[old.MAC] == old {
		delete(t.byMAC, old.MAC)
	}
	t.byMAC[l.MAC], t.byAddr[l.Addr] = l, l
}

// Drop forgets an offer that the stranger did not take.
func (t *Table) Drop(mac plan.MAC) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.byMAC[mac]; l != nil && l.offered {
		t.remove(l)
	}
}

func (t *Table) remove(l *Lease) {
	if t.byMAC[l.MAC] == l {
		delete(t.byMAC, l.MAC)
	}
	if t.byAddr[l.Addr] == l {
		delete(t.byAddr, l.Addr)
	}
}

// Forget takes back a lease that could not be written. The one that it would
// have renewed holds: its machine uses the address until that ends.
func (t *Table) Forget(l Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.byMAC[l.MAC]
	if now == nil || now.Addr != l.Addr || !now.Granted.Equal(l.Granted) {
		return
	}
	t.remove(now)
	if now.before != nil {
		t.set(now.before)
	}
}

// Decline lets an address rest that its holder found in use by another machine.
// It returns the ended lease; ok is false when the address was not the stranger's.
func (t *Table) Decline(mac plan.MAC, addr netip.Addr, now time.Time, rest time.Duration) (l Lease, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byMAC[mac]
	if old == nil || old.Addr != addr || !old.Live(now) {
		return l, false
	}
	t.resting[addr] = now.Add(rest)
	l = *old
	t.remove(old)
	l.Expires = now
	return l, true
}

// Release ends a lease. It returns the ended lease; ok is false when there was none.
func (t *Table) Release(mac plan.MAC, addr netip.Addr, now time.Time) (l Lease, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byMAC[mac]
	if old == nil || old.Addr != addr || old.offered || !old.Live(now) {
		return l, false
	}
	ended := *old
	ended.Expires = now
	t.set(&ended)
	return ended, true
}

// Merge takes leases that are newer than the table's own: from other heads, or
// from before a restart.
func (t *Table) Merge(all []Lease, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range all {
		if t.told[l.MAC] == l {
			continue // else one of a clock that was ahead came back when this clock is there
		}
		t.told[l.MAC] = l
		old := t.byMAC[l.MAC]
		if old != nil && !newer(l, *old, now) {
			continue
		}
		if holder := t.byAddr[l.Addr]; holder != nil && holder.MAC != l.MAC && newer(*holder, l, now) {
			continue
		}
		l = l.heard(now)
		t.set(&l)
	}
}

// newer tells whether a says more than b: a grant more than an offer, one of a
// right clock more than one of a clock that was ahead, an end more than the
// lease that it ends.
func newer(a, b Lease, now time.Time) bool {
	if a.offered != b.offered {
		return b.offered
	}
	if a.early(now) != b.early(now) {
		return b.early(now)
	}
	if !a.Granted.Equal(b.Granted) {
		return a.Granted.After(b.Granted)
	}
	return a.Expires.Before(b.Expires)
}

// Live returns the leases that hold, by address.
func (t *Table) Live(now time.Time) []Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Lease
	for _, l := range t.byMAC {
		if !l.offered && l.Live(now) {
			all = append(all, *l)
		}
	}
	slices.SortFunc(all, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	return all
}
