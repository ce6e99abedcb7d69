package exchange

import (
	"errors"
	"fmt"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

// transfer is a piece that was asked of a peer.
type transfer struct {
	piece int
	from  *peer
	asked time.Time
	begun bool // a block has come
	whole bool // all blocks have come; the piece is being checked
	buf   *[]byte
	got   set // blocks
	next  int // block to ask for
	left  int // blocks that have not come
}

// blocksOf returns how many blocks a piece has.
func (s shape) blocksOf() int { return int(s.length / BlockSize) }

// request asks a peer for a piece; t.mu is held.
func (p *peer) request(piece int, now time.Time) {
	t := p.t
	n := t.blocksOf()
	tr := &transfer{piece: piece, from: p, asked: now, got: newSet(n), left: n}
	p.open[piece] = tr
	t.flying[piece] = append(t.flying[piece], tr)
	t.settle(piece)
	first := n
	if p.kind == Foreign {
		first = min(n, foreignBlocks)
	}
	for range first {
		p.requestBlock(tr)
	}
}

func (p *peer) requestBlock(tr *transfer) {
	p.say(tr.block(tr.next).message(pp.Request))
	tr.next++
}

func (tr *transfer) block(i int) block {
	return block{int32(tr.piece), int32(i * BlockSize), BlockSize}
}

// receive takes in a block, and returns the piece that it is of; t.mu is held.
func (p *peer) receive(m *pp.Message, now time.Time) (*transfer, error) {
	tr := p.open[int(m.Index)]
	at := int(m.Begin / BlockSize)
	if tr == nil || tr.whole || m.Begin%BlockSize != 0 || len(m.Piece) != BlockSize || at >= tr.next || tr.got.has(at) {
		if p.strays--; p.strays < -strayMost {
			return nil, errors.New("it sends what nobody asked for")
		}
		return nil, nil
	}
	if tr.buf == nil {
		tr.buf = p.t.buffers.Get().(*[]byte)
	}
	copy((*tr.buf)[at*BlockSize:], m.Piece)
	tr.got.add(at)
	tr.left--
	tr.begun = true
	p.lastBlock = now
	if tr.next < p.t.blocksOf() {
		p.requestBlock(tr)
	}
	tr.whole = tr.left == 0
	return tr, nil
}

// keep checks a whole piece and keeps it, or leaves the peer alone that sent a wrong one.
func (t *Torrent) keep(tr *transfer) {
	p := tr.from
	err := t.cfg.Pieces.Put(tr.piece, *tr.buf, Source{p.kind, p.addr})
	now := time.Now()
	t.mu.Lock()
	t.buffers.Put(tr.buf)
	tr.buf = nil
	t.land(tr)
	switch {
	case err == nil:
		took := now.Sub(tr.asked)
		p.latency.add(took)
		t.usual.add(took)
		p.penalty = aloneFirst
		t.gain(tr.piece, now)
	case errors.Is(err, ErrWrongPiece):
		t.host.cfg.Log.Warn("a peer sends wrong pieces and is left alone", "peer", p.addr, "err", err)
		t.addresses.ban(p.addr, p.kind, now)
		p.close(err)
	default:
		t.missing.remove(tr.piece) // until it is wanted anew
		t.settle(tr.piece)
	}
	t.schedule(now)
	t.mu.Unlock()
	if err != nil && !errors.Is(err, ErrWrongPiece) && t.cfg.Failed != nil {
		t.cfg.Failed(err)
	}
}

// land takes a piece out of those in flight; t.mu is held.
func (t *Torrent) land(tr *transfer) {
	if tr.from.open[tr.piece] == tr {
		delete(tr.from.open, tr.piece)
	}
	list := t.flying[tr.piece]
	for i, other := range list {
		if other == tr {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if t.flying[tr.piece] = list; len(list) == 0 {
		delete(t.flying, tr.piece)
	}
	if tr.buf != nil && !tr.whole {
		t.buffers.Put(tr.buf)
		tr.buf = nil
	}
	t.settle(tr.piece)
}

// cancel takes back what was asked of a peer; t.mu is held.
func (p *peer) cancel(tr *transfer) {
	p.sock.relax()
	for i := range tr.next {
		if !tr.got.has(i) {
			p.strays++ // it may be on its way
			p.say(tr.block(i).message(pp.Cancel))
		}
	}
	p.t.land(tr)
}

// dropTransfers forgets what was asked of a peer that will not send it; t.mu is held.
func (p *peer) dropTransfers() {
	for _, tr := range p.open {
		if !tr.whole {
			p.strays += tr.left
			p.t.land(tr)
		}
	}
}

// giveUp cancels what was asked of a peer that sends nothing, and leaves it alone; t.mu is held.
func (p *peer) giveUp(now time.Time) {
	if len(p.open) == 0 {
		return
	}
	oldest := now
	for _, tr := range p.open {
		if !tr.whole && tr.asked.Before(oldest) {
			oldest = tr.asked
		}
	}
	if p.lastBlock.After(oldest) {
		oldest = p.lastBlock
	}
	quiet := now.Sub(oldest)
	if quiet <= p.t.usual.times(quietTimes, quietLeast) {
		return
	}
	p.t.host.cfg.Log.Debug("peer sends nothing and is left alone", "peer", p.addr, "for", fmt.Sprint(p.penalty))
	for _, tr := range p.open {
		if !tr.whole {
			p.cancel(tr)
		}
	}
	p.latency.add(quiet)
	p.alone = now.Add(p.penalty)
	p.penalty = min(2*p.penalty, aloneMost)
}
