package exchange

import "time"

const (
	// inFlight is how many pieces are asked for at a time, inFlightMost how many when most of them
	// wait behind others'.
	inFlight     = 14
	inFlightMost = 30
	// Of long pieces there are fewer in flight, so that they fit into inFlightBytes; but inFlightLeast.
	inFlightBytes = 64 << 20
	inFlightLeast = 4
	// A foreign client is asked for so many blocks at a time.
	foreignBlocks = 32
	// A peer that sends nothing for quietTimes the usual time of a piece, and quietLeast, is left
	// alone for aloneFirst, doubled up to aloneMost.
	quietTimes = 8
	quietLeast = 2 * time.Second
	aloneFirst = 6 * time.Second
	aloneMost  = time.Minute
	// strayMost is how many blocks that nobody asked for are borne with.
	strayMost = 64
)

// schedule asks for pieces as long as there should be more in flight; t.mu is held.
func (t *Torrent) schedule(now time.Time) {
	t.hungry = false
	if t.closed || t.paused || t.missing.empty() {
		return
	}
	for t.room(now) {
		p, piece := t.choose(now)
		if p == nil {
			t.hungry = true
			return
		}
		p.request(piece, now)
	}
}

// room tells whether another piece may be asked for. Offers of heads do not count in a node, nor
// do pieces that wait behind others'.
func (t *Torrent) room(now time.Time) bool {
	busy, all := 0, 0
	for _, list := range t.flying {
		for _, tr := range list {
			if tr.from.kind == Head && t.offers == nil {
				continue
			}
			all++
			if tr.begun || t.usual == 0 || now.Sub(tr.asked) <= time.Duration(t.usual) {
				busy++
			}
		}
	}
	most := min(inFlightMost, max(inFlightLeast, int(inFlightBytes/t.length)))
	return busy < inFlight && all < most
}

// choose returns whom to ask for what; nil when there is nothing to ask for. Where the own network is known,
// other networks are asked only for what nobody in it has, and for what is this host's to fetch.
func (t *Torrent) choose(now time.Time) (*peer, int) {
	wanted, end := t.wantable, t.wantable.empty()
	if end {
		wanted = t.slow(now)
	}
	near, far := t.able(now)
	if p, piece := t.chooseOf(near, wanted, end); p != nil || len(far) == 0 {
		return p, piece
	}
	if !end {
		wanted = t.far(wanted, near)
	}
	return t.chooseOf(far, wanted, end)
}

// chooseOf returns which of some peers to ask for what.
func (t *Torrent) chooseOf(able []*peer, wanted set, end bool) (*peer, int) {
	var peers []*peer
	var from []candidate
	most := perPeer(len(able))
	for _, p := range able {
		if len(p.open) < most && p.has.meets(wanted) {
			peers = append(peers, p)
			from = append(from, candidate{len(p.open), time.Duration(p.latency)})
		}
	}
	for len(peers) > 0 {
		i := choosePeer(from, time.Duration(t.usual), t.chance)
		p := peers[i]
		if piece := choosePiece(p.has, p.without(wanted, end), t.holders, t.chance); piece >= 0 {
			return p, piece
		}
		peers, from = append(peers[:i], peers[i+1:]...), append(from[:i], from[i+1:]...)
	}
	return nil, -1
}

// slow returns the missing pieces that are asked of one peer for longer than usual; they may be
// asked of another, when no piece is left that nobody was asked for.
func (t *Torrent) slow(now time.Time) set {
	s := newSet(t.pieces)
	for piece, list := range t.flying {
		if len(list) == 1 && !list[0].whole && now.Sub(list[0].asked) > time.Duration(t.usual) && t.missing.has(piece) {
			s.add(piece)
		}
	}
	return s
}

// without returns the wanted pieces that are not asked of this peer already.
func (p *peer) without(wanted set, end bool) set {
	if !end {
		return wanted
	}
	w := append(set(nil), wanted...)
	for piece := range p.open {
		w.remove(piece)
	}
	return w
}

// able tells whether a peer may be asked for something.
func (p *peer) able(now time.Time) bool {
	return !p.closed && !p.choking && !p.spare && !now.Before(p.alone)
}

// able returns the peers that may be asked: those in this host's network, and the others. All are near
// where the network is not known.
func (t *Torrent) able(now time.Time) (near, far []*peer) {
	for _, p := range t.peers {
		switch {
		case !p.able(now):
		case t.isFar(p):
			far = append(far, p)
		default:
			near = append(near, p)
		}
	}
	return near, far
}
