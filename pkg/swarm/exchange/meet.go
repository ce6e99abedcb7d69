package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

// meet takes in a peer that has shaken hands, and stays with it until the connection ends. It tells whether the address
// at, if one was dialled, was taken care of: by this connection, or by another that goes on.
func (t *Torrent) meet(c net.Conn, id [20]byte, at netip.AddrPort) (cared bool) {
	remote, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	now := time.Now()
	conn, err := tune(c, t.length)
	if err != nil {
		t.host.cfg.Log.Debug("connection cannot be set up", "peer", remote, "err", err)
		_ = c.Close()
		return false
	}
	p := &peer{t: t, conn: conn, sock: &thrifty{Conn: conn, most: unreadBytes(t.length)}, id: id, kind: kindOf(id), rank: rank(id),
		addr: remote.Addr().Unmap(), outgoing: at.IsValid(), listens: at, since: now,
		wake: make(chan struct{}, 1), gone: make(chan struct{}), has: newSet(t.pieces), choking: true, open: map[int]*transfer{}, penalty: aloneFirst, offered: newSet(t.pieces)}
	p.heard.Store(now.UnixNano())
	if cared, err := t.admit(p, now); err != nil {
		t.host.cfg.Log.Debug("peer is refused", "peer", p.addr, "err", err)
		_ = c.Close()
		return cared
	}
	defer t.work.Done()
	stop := context.AfterFunc(t.host.ctx, func() { _ = c.Close() })
	defer stop()
	written := make(chan struct{})
	go func() { defer close(written); p.write() }()
	err = p.read()
	t.mu.Lock()
	p.close(err)
	t.remove(p, time.Now())
	t.mu.Unlock()
	<-written
	return true
}

// admit takes a peer in, or says why not, and whether another connection takes care of its address.
func (t *Torrent) admit(p *peer, now time.Time) (cared bool, err error) {
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
			if !old.listens.IsValid() {
				old.listens = p.listens
			}
			return p.outgoing && old.listens == p.listens, errTwice
		}
		if !p.listens.IsValid() {
			p.listens, old.listens = old.listens, netip.AddrPort{}
		}
		old.close(errTwice)
	}
	t.peers[p.id] = p
	t.nearChanged()
	t.work.Add(1)
	p.greet()
	t.lookNow()
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
	if t.tells(p) && !t.have.empty() {
		p.say(pp.Message{Type: pp.Bitfield, Bitfield: t.have.bools(t.pieces)})
	}
	p.say(pp.Message{Type: pp.Unchoke}) // nobody is choked
	p.tellInterest()
}

// remove forgets a peer whose connection is closed; t.mu is held.
func (t *Torrent) remove(p *peer, now time.Time) {
	if t.peers[p.id] == p {
		delete(t.peers, p.id)
		t.nearChanged()
	}
	p.has.each(func(i int) { t.holders[i]-- })
	p.has = newSet(t.pieces)
	p.dropTransfers()
	if p.listens.IsValid() {
		t.ended(p.listens, now.Sub(p.since), now)
	}
	p.asked = nil
	wake(t.host.line.leave(p, now))
	t.balance(now)
	if t.offers != nil {
		t.offers.leave(p)
		t.offer(now)
	}
	t.schedule(now)
}
