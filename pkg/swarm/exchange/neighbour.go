package exchange

import (
	"net/netip"
	"time"
)

// Neighbour is a peer that is connected, and how far it is.
type Neighbour struct {
	Addr netip.Addr
	Kind Kind
	// Has is bytes of the pieces that it has said to have, Sent what it was sent over this connection.
	Has, Sent int64
	Since     time.Time
}

// Neighbours returns the peers that are connected, in no order.
func (t *Torrent) Neighbours() []Neighbour {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Neighbour, 0, len(t.peers))
	for _, p := range t.peers {
		list = append(list, Neighbour{Addr: p.addr, Kind: p.kind, Has: int64(p.has.count()) * t.cfg.PieceLength, Sent: p.sent.Load(), Since: p.since})
	}
	return list
}

// String returns node, head or foreign.
func (k Kind) String() string {
	switch k {
	case Node:
		return "node"
	case Head:
		return "head"
	}
	return "foreign"
}
