package exchange

import (
	"net/netip"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

const (
	// enough is with how many nodes a node exchanges pieces where a tracker names no more: one for each piece in flight. With
	// fewer than few it takes back some that it spared.
	enough, few = inFlight, 12
	// lagging is how much older than a tracker's answer a connection must be for its peer to have been known to the tracker.
	lagging = 3 * time.Second
)

// answer is whom a tracker named last.
type answer struct {
	at    time.Time
	named map[netip.Addr]bool
}

// named takes in whom a tracker names; t.mu is held.
func (t *Torrent) named(tracker string, list []netip.AddrPort, now time.Time) {
	a := answer{at: now, named: map[netip.Addr]bool{}}
	for _, at := range list {
		a.named[at.Addr()] = true
	}
	t.answers[tracker] = a
	t.balance(now)
}

// balance spares nodes that no tracker names any more, down to enough, and takes some back when there are few; t.mu is held.
// Who comes first is named to all who come after it: unless it spares some, it hears, says and is asked twice as much as those
// that come last, and has its own pieces late. Neighbours on a ring are named to each other, so that whom one spares the other
// does not need.
func (t *Torrent) balance(now time.Time) {
	if t.host.cfg.Kind != Node || len(t.answers) == 0 {
		return
	}
	busy := 0
	var rest []*peer
	for _, p := range t.peers {
		switch {
		case p.kind != Node || p.closed:
		case t.names(p):
			p.setSpare(false, now)
			if !p.idle() {
				busy++
			}
		case !p.idle():
			busy++
			rest = append(rest, p)
		case p.spare:
			rest = append(rest, p)
		}
	}
	for _, p := range rest {
		switch {
		case busy > enough && !p.spare:
			p.setSpare(true, now)
			busy--
		case busy < few && p.spare:
			p.setSpare(false, now)
			if !p.idle() {
				busy++
			}
		}
	}
}

// names tells whether a tracker names a peer, or could not yet.
func (t *Torrent) names(p *peer) bool {
	for _, a := range t.answers {
		if a.named[p.addr] || a.at.Sub(p.since) < lagging {
			return true
		}
	}
	return false
}

// ended notes that an address that was dialled is free again; one that no tracker names any more is forgotten. t.mu is held.
func (t *Torrent) ended(at netip.AddrPort, lasted time.Duration, now time.Time) {
	for _, a := range t.answers {
		if a.named[at.Addr()] {
			t.addresses.ended(at, lasted, now)
			return
		}
	}
	t.addresses.forget(at)
}

// idle tells whether one of the two spares the other.
func (p *peer) idle() bool { return p.spare || p.spares }

// setSpare ends or takes up the exchange of pieces with a node, whose connection stays; t.mu is held.
func (p *peer) setSpare(spare bool, now time.Time) {
	if p.spare == spare {
		return
	}
	p.spare = spare
	m := pp.Message{Type: pp.Unchoke}
	if spare {
		m.Type = pp.Choke
		p.asked = nil
		wake(p.t.host.line.leave(p, now))
	}
	p.say(m)
	p.idleChanged()
}

// idleChanged takes in that a peer is idle now, or not any more: TCP looks seldom then whether it is there.
func (p *peer) idleChanged() {
	p.t.nearChanged()
	if c, ok := p.conn.(*direct); ok {
		idle := probeIdle
		if p.idle() {
			idle = time.Minute
		}
		if err := c.SetKeepAliveConfig(keepAliveOf(idle)); err != nil {
			p.close(err)
		}
	}
}
