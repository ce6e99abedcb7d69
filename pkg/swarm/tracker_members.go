package swarm

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

const (
	// rings is how many orders the peers of a torrent stand in; each is told its neighbours in all.
	rings = 10
	// nearRings is how many of them, where there are several networks, are of each network alone.
	nearRings = 7
	// everybody is up to how many peers are told to each.
	everybody = 15
	// A tracker remembers so many peers of a torrent, and of one address.
	maxMembers    = 20000
	maxPerAddress = 64
)

// peer is one that announced.
type peer struct {
	addr     netip.AddrPort
	id       [20]byte
	complete bool
	expires  time.Time
	place    [rings]uint64 // in each ring
}

// members are the peers of one torrent.
type members struct {
	peers      map[netip.AddrPort]*peer
	perAddress map[netip.Addr]int
	complete   int
	downloaded int64
	swept      time.Time
}

func newMembers() *members {
	return &members{peers: map[netip.AddrPort]*peer{}, perAddress: map[netip.Addr]int{}}
}

// put takes a peer in, or renews it, and tells whether it is remembered: beyond the limits it is not.
func (m *members) put(p peer) bool {
	old := m.peers[p.addr]
	if old == nil && (len(m.peers) >= maxMembers || m.perAddress[p.addr.Addr()] >= maxPerAddress) {
		return false
	}
	if old != nil {
		p.place = old.place
		m.remove(p.addr)
	} else {
		p.place = places(p.addr)
	}
	m.peers[p.addr] = &p
	m.perAddress[p.addr.Addr()]++
	if p.complete {
		m.complete++
	}
	return true
}

func (m *members) remove(addr netip.AddrPort) {
	p := m.peers[addr]
	if p == nil {
		return
	}
	delete(m.peers, addr)
	if m.perAddress[addr.Addr()]--; m.perAddress[addr.Addr()] == 0 {
		delete(m.perAddress, addr.Addr())
	}
	if p.complete {
		m.complete--
	}
}

// expire forgets those who have not announced for too long; it looks once a second at most.
func (m *members) expire(now time.Time) {
	if now.Sub(m.swept) < time.Second {
		return
	}
	m.swept = now
	for addr, p := range m.peers {
		if !now.Before(p.expires) {
			m.remove(addr)
		}
	}
}

// places hashes an address onto the rings: the same for all heads, so that they name the same neighbours, and go on doing so
// when they were restarted.
func places(addr netip.AddrPort) (at [rings]uint64) {
	b, _ := addr.MarshalBinary() // never fails
	sum := sha256.Sum256(b)
	r := rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]))
	for i := range at {
		at[i] = r.Uint64()
	}
	return at
}

// append adds the peers that p is to know, want in all at most: everybody while they are few,
// else its neighbours on the rings. All then have the same number of neighbours and nobody is far
// from anybody; drawn by lot, some would be hard to reach. Most rings are those of p's network, near, so
// that what others have comes into it a few times only. Who is complete needs no others who are.
func (m *members) append(list []peer, p peer, want int, near netip.Prefix) []peer {
	var chosen []*peer
	if len(m.peers) <= everybody+1 {
		for _, o := range m.peers {
			chosen = append(chosen, o)
		}
		rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	} else {
		chosen = m.neighbours(places(p.addr), p.addr, near)
	}
	for _, o := range chosen {
		if len(list) >= want {
			break
		}
		if o.addr == p.addr || (p.complete && o.complete) || contains(list, o.addr) {
			continue
		}
		list = append(list, *o)
	}
	return list
}

// neighbours returns the successor and the predecessor on each ring, once each. Everybody stands on the last
// rings, on the first nearRings only those who are near; when these are few, all of them are neighbours
// and everybody stands on all rings.
func (m *members) neighbours(at [rings]uint64, self netip.AddrPort, near netip.Prefix) []*peer {
	var list []*peer
	apart := nearRings
	if list = m.within(near, self); len(list) <= 2*nearRings {
		apart = 0
	} else {
		list = nil
	}
	var next, prev [rings]*peer
	for addr, o := range m.peers {
		if addr == self {
			continue
		}
		first := 0
		if near.IsValid() && !near.Contains(addr.Addr()) {
			first = apart
		}
		for i := first; i < rings; i++ {
			// Unsigned distances wrap, as the ring does.
			if next[i] == nil || o.place[i]-at[i] < next[i].place[i]-at[i] {
				next[i] = o
			}
			if prev[i] == nil || at[i]-o.place[i] < at[i]-prev[i].place[i] {
				prev[i] = o
			}
		}
	}
	for i := range rings {
		for _, o := range []*peer{next[i], prev[i]} {
			if o != nil && !slices.Contains(list, o) {
				list = append(list, o)
			}
		}
	}
	return list
}

// within returns the peers of a network but one; nobody is in the zero prefix.
func (m *members) within(near netip.Prefix, self netip.AddrPort) (list []*peer) {
	for addr, o := range m.peers {
		if addr != self && near.IsValid() && near.Contains(addr.Addr()) {
			list = append(list, o)
		}
	}
	return list
}
