package exchange

import (
	"bytes"
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
	conn     net.Conn
	sock     *thrifty // reads from conn
	id       [20]byte
	kind     Kind
	rank     uint64 // of id
	addr     netip.Addr
	outgoing bool
	since    time.Time

	wake    chan struct{} // there is something to write
	gone    chan struct{} // closed when the connection is
	heard   atomic.Int64  // Unix nanoseconds: when it last said something
	writing atomic.Int64  // when the write began that is not over; 0 is none
	sent    atomic.Int64  // bytes of pieces

	// Guarded by the torrent's mu.
	closed     bool
	listens    netip.AddrPort // where it was dialled, or could be; zero is not known
	met        bool           // it has said something
	has        set
	choking    bool
	spare      bool // we do not exchange pieces with it
	spares     bool // it does not with us
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
