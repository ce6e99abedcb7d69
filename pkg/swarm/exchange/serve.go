package exchange

import (
	"fmt"
	"slices"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

const (
	// keepAlive is how long a connection may be without a message.
	keepAlive = time.Minute
	// serveBlocks is how many blocks are written at once.
	serveBlocks = 4
)

// load is what a peer is sent next.
type load struct {
	buf    []byte // messages
	blocks []block
	last   bool // of a turn
}

// write sends a peer what there is to say, and serves it when its turn comes, until the
// connection is closed.
func (p *peer) write() {
	var l load
	silence := time.NewTimer(keepAlive)
	defer silence.Stop()
	for {
		p.take(&l)
		if len(l.buf) == 0 && len(l.blocks) == 0 {
			silence.Reset(keepAlive)
			select {
			case <-p.wake:
				continue
			case <-silence.C:
				l.buf = append(l.buf, pp.Message{Keepalive: true}.MustMarshalBinary()...)
			case <-p.gone:
				return
			}
		}
		if err := p.send(&l); err != nil {
			p.t.mu.Lock()
			p.close(err) // the reader notices
			p.t.mu.Unlock()
			return
		}
	}
}

// take gathers what is to be sent next.
func (p *peer) take(l *load) {
	t := p.t
	t.mu.Lock()
	defer t.mu.Unlock()
	l.blocks = l.blocks[:0]
	if t.host.line.serves(p) {
		p.takeBlocks(l)
	}
	if p.tellNow || p.out.Len() > 0 || len(l.blocks) > 0 {
		p.tellHaves()
	}
	l.buf = append(l.buf[:0], p.out.Bytes()...)
	p.out.Reset()
}

// takeBlocks takes blocks of one piece from those that are asked for; t.mu is held.
func (p *peer) takeBlocks(l *load) {
	for len(p.asked) > 0 && len(l.blocks) < serveBlocks {
		k := p.asked[0]
		if len(l.blocks) > 0 && k.piece != l.blocks[0].piece {
			break
		}
		p.asked = p.asked[1:]
		if p.t.have.has(int(k.piece)) {
			l.blocks = append(l.blocks, k)
		}
	}
	l.last = len(p.asked) == 0 || len(l.blocks) > 0 && p.asked[0].piece != l.blocks[0].piece
	if len(l.blocks) == 0 {
		p.turnOver()
	}
}

// turnOver lets the next peer be served; this one stands in line again if it wants more. t.mu is held.
func (p *peer) turnOver() {
	now := time.Now()
	wake(p.t.host.line.leave(p, now))
	if len(p.asked) > 0 && !p.closed {
		wake(p.t.host.line.join(p, now))
	}
}

// delay waits until the host may send a load's blocks.
func (p *peer) delay(l *load) error {
	n := 0
	for _, k := range l.blocks {
		n += int(k.length)
	}
	if limit := p.t.host.cfg.Limit; limit != nil && n > 0 {
		return limit.WaitN(p.t.host.ctx, n)
	}
	return nil
}

// send writes a load.
func (p *peer) send(l *load) error {
	if err := p.delay(l); err != nil {
		return err
	}
	if err := p.readBlocks(l); err != nil {
		err = fmt.Errorf("piece %d cannot be read: %w", l.blocks[0].piece, err)
		p.t.host.cfg.Log.Warn("a peer is not served", "peer", p.addr, "err", err)
		return err
	}
	if err := p.writeLoad(l); err != nil || len(l.blocks) == 0 {
		return err
	}
	if !p.t.host.line.took(p, time.Now()) || l.last {
		p.t.mu.Lock()
		p.turnOver()
		p.t.mu.Unlock()
	}
	return nil
}

// readBlocks appends the messages of a load's blocks to it. Those that lie side by side are read at once.
func (p *peer) readBlocks(l *load) error {
	for rest := l.blocks; len(rest) > 0; {
		n, bytes := sideBySide(rest)
		at := len(l.buf)
		l.buf = slices.Grow(l.buf, n*pieceHeader+bytes)[:at+n*pieceHeader+bytes]
		data := l.buf[at+n*pieceHeader:] // moved down to make room for the headers
		if _, err := p.t.cfg.Pieces.ReadAt(int(rest[0].piece), data, int64(rest[0].begin)); err != nil {
			return err
		}
		for _, k := range rest[:n] {
			putPieceHeader(l.buf[at:], k)
			at += pieceHeader + copy(l.buf[at+pieceHeader:], data[:k.length])
			data = data[k.length:]
		}
		p.t.sent.Add(int64(bytes))
		p.sent.Add(int64(bytes))
		rest = rest[n:]
	}
	return nil
}

// sideBySide returns how many of some blocks of a piece, from the first, each begin where the last ends, and their bytes.
func sideBySide(blocks []block) (n, bytes int) {
	for end := blocks[0].begin; n < len(blocks) && blocks[n].begin == end; n++ {
		end += blocks[n].length
		bytes += int(blocks[n].length)
	}
	return n, bytes
}

// writeLoad writes what was gathered. The end of a turn is written once what comes before it is nearly out: else the
// kernel takes a whole short piece at once, turns end before anything was sent, and all who ask are served at the
// same time, each as late as the last.
func (p *peer) writeLoad(l *load) error {
	p.writing.Store(time.Now().UnixNano())
	defer p.writing.Store(0)
	rest := l.buf
	if n := len(rest) - unsentBytes(p.t.length); l.last && n > 0 {
		write := p.conn.Write
		if d, ok := p.conn.(*direct); ok {
			write = d.writeApart
		}
		if _, err := write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	_, err := p.conn.Write(rest)
	return err
}
