// Package exchange passes the pieces of torrents from heads to nodes, and from node to node, in BEP 3's messages.
//
// A head offers: it announces each piece to one node and leaves the rest to the nodes. Nodes choose
// whom to ask before what to ask for. Foreign clients see a seeder, or a peer, as any other.
package exchange

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"time"
)

// Kind is what a peer is.
type Kind int

// The kinds of peers; the zero Kind is a foreign client. A host of that kind takes pieces and passes none on: it
// tells nobody what it has, since BEP 3 cannot take that back, and is to others a client that has nothing.
const (
	Foreign Kind = iota
	Node
	Head
)

// ErrWrongPiece is in the error of a Put of a piece that is not what its hash says.
var ErrWrongPiece = errors.New("wrong piece")

// BlockSize is the bytes of one request; other clients close the connection when asked for more.
const BlockSize = 16 << 10

// MaxPieceLength is the longest piece that is exchanged, in bytes: pieces are kept in memory until
// they are whole, some 30 at a time.
const MaxPieceLength = 16 << 20

// Pieces is where the pieces of a torrent lie. Its methods are called from many goroutines.
type Pieces interface {
	// ReadAt reads from a piece that is there; off counts from the piece's beginning.
	ReadAt(piece int, b []byte, off int64) (int, error)
	// Put checks a whole piece that came from a peer and keeps it; a wrong one is ErrWrongPiece. The bytes are
	// not used afterwards. The piece may be there already.
	Put(piece int, data []byte, from Source) error
	// Has tells whether a piece is there. One that was put may be taken back before Put has returned,
	// by whoever finds that the whole is wrong; then the exchange is told by Lose.
	Has(piece int) bool
}

// Source is the peer that a piece came from.
type Source struct {
	Kind Kind
	Addr netip.Addr
}

// Our own peers are told from others by the beginning of their id (BEP 20).
const (
	nodePrefix  = "-LN0200-"
	headPrefix  = "-LH0200-"
	takerPrefix = "-LT0200-" // a foreign client to all others
)

// NewPeerID makes an id for a peer of a kind.
func NewPeerID(k Kind) (id [20]byte) {
	prefix := map[Kind]string{Foreign: takerPrefix, Node: nodePrefix, Head: headPrefix}[k]
	_, _ = rand.Read(id[copy(id[:], prefix):]) // never fails
	return id
}

// kindOf tells what a peer with an id is. The version may be another.
func kindOf(id [20]byte) Kind {
	switch string(id[:3]) {
	case nodePrefix[:3]:
		return Node
	case headPrefix[:3]:
		return Head
	}
	return Foreign
}

// mean is a mean of durations that forgets slowly; the zero mean knows nothing.
type mean time.Duration

// add takes in another duration.
func (m *mean) add(d time.Duration) {
	if *m == 0 {
		*m = mean(max(d, 1))
		return
	}
	*m += (mean(d) - *m) / 8
}

// times returns n times the mean, and least when that is more.
func (m mean) times(n int, least time.Duration) time.Duration {
	return max(time.Duration(m)*time.Duration(n), least)
}
