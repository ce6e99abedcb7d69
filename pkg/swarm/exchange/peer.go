package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

const (
	// A peer that says nothing for silent, or takes nothing for deaf, is given up.
	silent = 150 * time.Second
	deaf   = 30 * time.Second
	// maxAsked is how many blocks a peer may be waiting for, maxOut how many bytes of other messages.
	maxAsked = 8192
	maxOut   = 1 << 20
)

var (
	errDropped = errors.New("the torrent is dropped")
	errTaken   = errors.New("a piece is not there any more")
	errTwice   = errors.New("there is another connection")
)

// peer is a connection to one who has the same torrent.
type peer struct {
	t        *Torrent
	conn     *net.TCPConn
	sock     *thrifty // reads from conn
	id       [20]byte
	kind     Kind
	addr     netip.Addr
	outgoing bool
	since    time.Time

	wake    chan struct{} // there is something to write
	gone    chan struct{} // closed when the connection is
	heard   atomic.Int64  // Unix nanoseconds: when it last said something
	writing atomic.Int64  // when the write began that is not over; 0 is none

	// Guarded by the torrent's mu.
	closed     bool
	listens    netip.AddrPort // where it was dialled, or could be; zero is not known
	met        bool           // it has said something
	has        set
	choking    bool
	interested bool // we are, and said so
	open       map[int]*transfer
	strays     int // blocks that may still come though they were cancelled
	latency    mean
	lastBlock  time.Time
	alone      time.Time     // until when it is left alone
	penalty    time.Duration // for how long, the next time
	offered    set           // pieces that were offered to it
	told       int           // of those that came
	tellNow    bool
	out        bytes.Buffer
	asked      []block
}

// meet takes in a peer that has shaken hands, and stays with it until the connection ends. It tells
// whether the address at, if one was dialled, is busy all the same, with another connection.
func (t *Torrent) meet(c *net.TCPConn, id [20]byte, at netip.AddrPort) (busy bool) {
	remote, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	now := time.Now()
	p := &peer{t: t, conn: c, sock: &thrifty{TCPConn: c, most: unreadBytes(t.length)}, id: id, kind: kindOf(id), addr: remote.Addr().Unmap(), outgoing: at.IsValid(), listens: at,
		since: now, wake: make(chan struct{}, 1), gone: make(chan struct{}), has: newSet(t.pieces), choking: true,
		open: map[int]*transfer{}, penalty: aloneFirst, offered: newSet(t.pieces)}
	p.heard.Store(now.UnixNano())
	if busy, err := t.admit(p, now); err != nil {
		t.host.cfg.Log.Debug("peer is refused", "peer", p.addr, "err", err)
		_ = c.Close()
		return busy
	}
	defer t.work.Done()
	stop := context.AfterFunc(t.host.ctx, func() { _ = c.Close() })
	defer stop()
	written := make(chan struct{})
	go func() { defer close(written); p.write() }()
	err := p.read()
	t.mu.Lock()
	p.close(err)
	t.remove(p, time.Now())
	t.mu.Unlock()
	<-written
	return false
}

// admit takes a peer in, or says why not.
func (t *Torrent) admit(p *peer, now time.Time) (busy bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return false, errDropped
	case p.id == t.host.id:
		return p.outgoing, errors.New("it is this host") // and stays busy, so that it is not dialled again
	case t.addresses.isBanned(p.addr, now):
		return false, errors.New("it has sent wrong pieces")
	case len(t.peers) >= t.cfg.Peers && p.kind != Head:
		return false, fmt.Errorf("there are %d peers already", len(t.peers))
	}
	if old := t.peers[p.id]; old != nil && !old.closed {
		if old.outgoing != p.outgoing && t.keeps(old) {
			if busy = p.outgoing && !old.listens.IsValid(); busy {
				old.listens = p.listens
			}
			return busy, errTwice
		}
		if !p.listens.IsValid() {
			p.listens, old.listens = old.listens, netip.AddrPort{}
		}
		old.close(errTwice)
	}
	if err := tune(p.conn, t.length); err != nil {
		return false, fmt.Errorf("set up the connection: %w", err)
	}
	t.peers[p.id] = p
	t.work.Add(1)
	p.greet()
	return false, nil
}

// keeps tells whether, of two connections between two hosts, this is the one that both keep: that
// of the host with the smaller id.
func (t *Torrent) keeps(p *peer) bool {
	return p.outgoing == (bytes.Compare(t.host.id[:], p.id[:]) < 0)
}

// greet says what is here; t.mu is held.
func (p *peer) greet() {
	t := p.t
	p.told = len(t.came)
	if !t.offersTo(p) && !t.have.empty() {
		p.say(pp.Message{Type: pp.Bitfield, Bitfield: t.have.bools(t.pieces)})
	}
	p.say(pp.Message{Type: pp.Unchoke}) // nobody is choked
	p.tellInterest()
}

// close ends the connection; t.mu is held. The peer is removed by who reads from it.
func (p *peer) close(why error) {
	if p.closed {
		return
	}
	p.closed = true
	p.t.host.cfg.Log.Debug("peer is gone", "peer", p.addr, "why", why)
	close(p.gone)
	_ = p.conn.Close()
}

// remove forgets a peer whose connection is closed; t.mu is held.
func (t *Torrent) remove(p *peer, now time.Time) {
	if t.peers[p.id] == p {
		delete(t.peers, p.id)
	}
	p.has.each(func(i int) { t.holders[i]-- })
	p.has = newSet(t.pieces)
	p.dropTransfers()
	if p.listens.IsValid() {
		t.addresses.ended(p.listens, now.Sub(p.since), now)
	}
	p.asked = nil
	wake(t.host.line.leave(p, now))
	if t.offers != nil {
		t.offers.leave(p)
		t.offer(now)
	}
	t.schedule(now)
}

// look does what time brings; t.mu is held.
func (p *peer) look(now time.Time) {
	if p.closed {
		return
	}
	if now.UnixNano()-p.heard.Load() > int64(silent) {
		p.close(fmt.Errorf("it has said nothing for %s", silent))
		return
	}
	if w := p.writing.Load(); w != 0 && now.UnixNano()-w > int64(deaf) {
		p.close(fmt.Errorf("it has taken nothing for %s", deaf))
		return
	}
	p.giveUp(now)
}

// say queues a message; t.mu is held.
func (p *peer) say(m pp.Message) {
	if p.closed {
		return
	}
	put(&p.out, m)
	if p.out.Len() > maxOut {
		p.close(errors.New("it does not listen"))
	}
	p.poke()
}

// poke lets the writer look for something to write.
func (p *peer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// wake lets those write whose turn has come.
func wake(list []*peer) {
	for _, p := range list {
		p.poke()
	}
}
