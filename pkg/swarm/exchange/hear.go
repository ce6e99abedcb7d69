package exchange

import (
	"fmt"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

// read hears a peer until the connection ends, or it says what nobody should.
func (p *peer) read() error {
	buffer := readBuffer
	if p.t.offers != nil {
		buffer = headBuffer
	}
	r := newReader(p.sock, p.t.shape, buffer)
	r.sure = func(piece, bytes int) { p.sock.expect(bytes + p.follows(piece)) }
	for {
		m, err := r.next()
		if err != nil {
			return err
		}
		now := time.Now()
		p.heard.Store(now.UnixNano())
		if m.Keepalive {
			continue
		}
		tr, err := p.hear(&m, now)
		release(&m)
		if err != nil {
			return err
		}
		if tr != nil && tr.whole {
			p.t.keep(tr)
		}
	}
}

// follows returns the bytes of the messages that come behind the block of a piece that is coming: our own send a piece
// in one go.
func (p *peer) follows(piece int) int {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	tr := p.open[piece]
	if tr == nil || p.kind == Foreign {
		return 0
	}
	return (tr.left - 1) * (pieceHeader + BlockSize)
}

// hear takes in one message. It returns the piece that a block of it has come for.
func (p *peer) hear(m *pp.Message, now time.Time) (*transfer, error) {
	t := p.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.closed {
		return nil, errDropped
	}
	if m.Type == pp.Bitfield {
		p.heardBitfield(m.Bitfield, now) // aria2 sends another one later
	}
	if !p.met {
		p.met = true
		p.begin(now)
	}
	switch m.Type {
	case pp.Choke:
		p.choke(true, now)
		p.dropTransfers()
		t.schedule(now)
	case pp.Unchoke:
		p.choke(false, now)
		t.schedule(now)
	case pp.Have:
		p.heardHave(int(m.Index), now)
	case pp.Request:
		return nil, p.ask(blockOf(m))
	case pp.Cancel:
		p.unask(blockOf(m))
	case pp.Piece:
		return p.receive(m, now)
	}
	return nil, nil // what is not of BEP 3, and whether it is interested, does not matter
}

// choke takes in whether a peer serves us. Our own serve all but those that they spare, and then do not ask either. Who
// spares us no more has too few others; t.mu is held.
func (p *peer) choke(choking bool, now time.Time) {
	p.choking = choking
	if spares := choking && p.kind == Node; spares != p.spares {
		p.spares = spares
		p.idleChanged()
		if !spares {
			p.setSpare(false, now)
		}
		p.t.balance(now)
	}
}

func (p *peer) heardBitfield(has []bool, now time.Time) {
	for piece, has := range has {
		if has {
			p.note(piece, now)
		}
	}
	p.t.schedule(now)
}

// note takes in that a peer has a piece; t.mu is held.
func (p *peer) note(piece int, now time.Time) {
	t := p.t
	if !p.has.has(piece) {
		p.has.add(piece)
		t.holders[piece]++
		if t.isFar(p) {
			t.imports.saw(piece, now)
		}
	}
	if t.offersTo(p) {
		t.offers.got(p, piece, now)
	}
}

// begin takes in that a peer has said something, and with it what it has; t.mu is held.
func (p *peer) begin(now time.Time) {
	t := p.t
	if t.offersTo(p) {
		t.offers.join(p, p.has, now)
		t.offer(now)
	}
	t.schedule(now)
}

func (p *peer) heardHave(piece int, now time.Time) {
	t := p.t
	p.note(piece, now)
	if t.offersTo(p) {
		t.offer(now)
	}
	if p.kind == Head && t.host.cfg.Kind == Node {
		// What a head tells a node, it tells that one alone.
		if t.wantable.has(piece) && !t.paused && !p.choking {
			p.alone = time.Time{}
			p.request(piece, now)
			return
		}
		if t.have.has(piece) { // which it would not know for a while, and wait
			p.tellNow = true
			p.poke()
		}
	}
	// Where enough is in flight, no piece that somebody has makes a difference: the next that comes does, or time.
	if t.hungry && t.wantable.has(piece) {
		t.schedule(now)
	}
}

// ask queues a block that a peer wants; t.mu is held.
func (p *peer) ask(k block) error {
	if p.t.host.cfg.Kind == Foreign || p.spare || !p.t.have.has(int(k.piece)) {
		return nil // BEP 3 has no word for no
	}
	if len(p.asked) >= maxAsked {
		return fmt.Errorf("it asks for more than %d blocks at once", maxAsked)
	}
	p.asked = append(p.asked, k)
	wake(p.t.host.line.join(p, time.Now()))
	return nil
}

// unask takes back a request; t.mu is held.
func (p *peer) unask(k block) {
	for i, other := range p.asked {
		if other == k {
			p.asked = append(p.asked[:i], p.asked[i+1:]...)
			return
		}
	}
}
