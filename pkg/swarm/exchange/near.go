package exchange

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

const (
	// What is not in a network lateFar times the usual time of a piece, and lateFarLeast, after it was seen
	// outside, anybody in it fetches.
	lateFar      = 4
	lateFarLeast = 2 * time.Second
)

// imports decides which pieces this node fetches from other networks for its own: of those who are near,
// one is chosen for each piece by its id, and all come to the same result without a word. Otherwise each
// would fetch from far what nobody near has yet, at the same moment.
type imports struct {
	self  uint64 // rank
	mine  set    // pieces that are for this node to fetch
	stale bool   // who is near has changed since mine was made
	seen  []time.Time
	late  set // pieces that anybody may fetch
}

func newImports(id [20]byte, pieces int) *imports {
	return &imports{self: rank(id), mine: newSet(pieces), stale: true, seen: make([]time.Time, pieces), late: newSet(pieces)}
}

// rank is what is compared of an id.
func rank(id [20]byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(id[:]) // never fails
	return h.Sum64()
}

// weight is how much a node is the one for a piece.
func weight(rank uint64, piece int) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], rank)
	binary.LittleEndian.PutUint64(b[8:], uint64(piece))
	h := fnv.New64a()
	_, _ = h.Write(b[:]) // never fails
	return h.Sum64()
}

// chosen makes mine anew when others are near than before.
func (m *imports) chosen(ranksNear func() []uint64) {
	if !m.stale {
		return
	}
	m.stale = false
	near := ranksNear()
	for piece := range m.seen {
		m.mine.add(piece)
		own := weight(m.self, piece)
		for _, r := range near {
			if weight(r, piece) > own {
				m.mine.remove(piece)
				break
			}
		}
	}
}

// saw notes that a piece is outside.
func (m *imports) saw(piece int, now time.Time) {
	if m.seen[piece].IsZero() {
		m.seen[piece] = now
	}
}

// look does what time brings.
func (m *imports) look(usual mean, now time.Time) {
	for piece, at := range m.seen {
		if !at.IsZero() && now.Sub(at) > usual.times(lateFar, lateFarLeast) {
			m.late.add(piece)
		}
	}
}

// allowed returns which of the wanted pieces may be fetched from far.
func (m *imports) allowed(wanted set) set {
	s := append(set(nil), wanted...)
	for i := range s {
		s[i] &= m.mine[i] | m.late[i]
	}
	return s
}

// isFar tells whether a peer is in another network.
func (t *Torrent) isFar(p *peer) bool { return t.imports != nil && !t.cfg.Near.Contains(p.addr) }

// far returns which of the wanted pieces may be asked of peers in other networks, when these are near.
func (t *Torrent) far(wanted set, near []*peer) set {
	t.imports.chosen(t.ranksNear)
	wanted = t.imports.allowed(wanted)
	for _, p := range near {
		wanted.subtract(p.has)
	}
	return wanted
}

// ranksNear returns the ranks of the nodes that are near and that pieces are exchanged with; t.mu is held.
func (t *Torrent) ranksNear() (ranks []uint64) {
	for _, p := range t.peers {
		if p.kind == Node && !t.isFar(p) && !p.idle() {
			ranks = append(ranks, p.rank)
		}
	}
	return ranks
}

// nearChanged tells that a peer came or went, or is spared or not any more.
func (t *Torrent) nearChanged() {
	if t.imports != nil {
		t.imports.stale = true
	}
}
