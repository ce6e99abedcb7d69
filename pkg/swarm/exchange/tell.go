package exchange

import (
	"slices"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

// Pieces that came are told together, since each message wakes a peer: after as long as a piece takes, within these
// bounds, and with whatever else is said to a peer. Of a piece that few have, a few peers, any, are told soon, so that it
// spreads; to tell all of them makes nobody quicker and takes twice the messages. Heads, which only count, hear of what
// they did not offer after headTimes the time of a piece: each message to a head is answered by an acknowledgement on the
// link that all pieces come from, and to 72 nodes these took 4 % of it.
const (
	gatherRare  = 20 * time.Millisecond
	gatherLeast = 50 * time.Millisecond
	gatherMost  = 3 * time.Second
	gatherHead  = 200 * time.Millisecond
	// gatherHeadMost is below the time after which a head that hears nothing doubts its nodes.
	gatherHeadMost = stillLeast * 3 / 4
	headTimes      = 6
	// Of many nodes each tells heads less often, after gatherCrowd for each that there is: so a head hears from all
	// together no more often than that, which is often enough for it not to doubt them.
	gatherCrowd = 60 * time.Millisecond
	// rare is how many peers have a piece that few have, toldSoon how many are told of it soon.
	rare, toldSoon = 2, 4
)

// The times that can be set for peers to be told.
const (
	soon     = iota // of rare pieces
	together        // of what came
	toHeads
	plans
)

// offersTo tells whether a peer is told of pieces by offers alone.
func (t *Torrent) offersTo(p *peer) bool { return t.offers != nil && p.kind == Node }

// tells tells whether a peer hears of every piece that is here.
func (t *Torrent) tells(p *peer) bool {
	return t.host.cfg.Kind != Foreign && !t.offersTo(p) && !p.idle()
}

// offer makes the offers that can be made now; t.mu is held.
func (t *Torrent) offer(now time.Time) {
	for {
		p, piece, ok := t.offers.next(now)
		if !ok {
			return
		}
		p.offer(piece)
	}
}

// offerMore makes the offers beyond once; t.mu is held.
func (t *Torrent) offerMore(now time.Time) {
	for {
		p, piece, ok := t.offers.another(now)
		if !ok {
			return
		}
		p.offer(piece)
	}
}

func (p *peer) offer(piece int) {
	p.offered.add(piece)
	p.say(haveMessage(piece))
}

func haveMessage(piece int) pp.Message { return pp.Message{Type: pp.Have, Index: pp.Integer(piece)} }

// tell lets peers know soon that a piece came; the head that offered it at once, and heads that it was the last. t.mu is
// held.
func (t *Torrent) tell(piece int) {
	for _, p := range t.peers {
		if p.kind == Head && (p.has.has(piece) || t.missing.empty()) && t.tells(p) {
			p.tellNow = true
			p.poke()
		}
	}
	if t.holders[piece] <= rare {
		t.tellLater(soon, gatherRare, toldSoon, Node, Foreign)
	}
	t.tellLater(together, min(max(time.Duration(t.usual), gatherLeast), gatherMost), len(t.peers), Node, Foreign)
	// Not all nodes at the same time: acknowledgements of pieces wait behind what they say on the head's way in.
	spread := 0.5 + t.chance.Float64()
	t.tellLater(toHeads, time.Duration(spread*float64(untilHeads(t.usual, t.crowd))), len(t.peers), Head)
}

// untilHeads is how long pieces are gathered before heads are told, where so many nodes lack some.
func untilHeads(usual mean, crowd int) time.Duration {
	return max(min(usual.times(headTimes, gatherHead), gatherHeadMost), time.Duration(crowd)*gatherCrowd)
}

// tellLater tells at most so many peers of some kinds after a time, unless that is planned already.
func (t *Torrent) tellLater(plan int, after time.Duration, most int, kinds ...Kind) {
	if t.telling[plan] != nil {
		return
	}
	t.work.Add(1)
	t.telling[plan] = time.AfterFunc(after, func() {
		defer t.work.Done()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.telling[plan] = nil
		for _, p := range t.peers {
			if most > 0 && slices.Contains(kinds, p.kind) && p.news() {
				most--
				p.tellNow = true
				p.poke()
			}
		}
	})
}

// tellNobody ends what was planned; t.mu is held.
func (t *Torrent) tellNobody() {
	for _, timer := range t.telling {
		if timer != nil && timer.Stop() {
			t.work.Done()
		}
	}
}

// tellHaves queues what a peer was not told of yet; t.mu is held.
func (p *peer) tellHaves() {
	p.tellNow = false
	if !p.t.tells(p) {
		return
	}
	for _, piece := range p.t.came[p.told:] {
		if p.cares(int(piece)) {
			put(&p.out, haveMessage(int(piece)))
		}
	}
	p.told = len(p.t.came)
}

// cares tells whether a peer needs to know of a piece: who has it itself does not, but for heads,
// which count.
func (p *peer) cares(piece int) bool { return p.kind == Head || !p.has.has(piece) }

// news tells whether something came that a peer needs to know and was not told; t.mu is held.
func (p *peer) news() bool {
	if !p.t.tells(p) {
		return false
	}
	for _, piece := range p.t.came[p.told:] {
		if p.cares(int(piece)) {
			return true
		}
	}
	return false
}

// tellInterest says to all whether there is something that we want; t.mu is held.
func (t *Torrent) tellInterest() {
	for _, p := range t.peers {
		p.tellInterest()
	}
}

func (p *peer) tellInterest() {
	if want := !p.t.missing.empty(); want != p.interested {
		p.interested = want
		m := pp.Message{Type: pp.NotInterested}
		if want {
			m.Type = pp.Interested
		}
		p.say(m)
	}
}
