package swarm

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/types"
)

const (
	windowTick  = 250 * time.Millisecond // between two looks at what other nodes have
	windowPause = 50 * time.Millisecond  // between two moves
	// windowBytes is about how much is wanted at a time from the head, and as much from nodes.
	windowBytes     = 8 << 20
	windowMinPieces = 32
)

// window keeps a small part of the missing pieces wanted. The library orders everything that is
// wanted anew for every few requests, and of many it takes the same first ones on every node; so
// it is given a few, of each node's own choice: pieces that other nodes have, and as many at random.
type window struct {
	torrent *torrent.Torrent
	store   *store
	isHead  func(netip.Addr) bool
	size    int          // pieces of either kind
	wanted  map[int]bool // not done when last looked at
	near    []bool       // pieces that other nodes have
}

func newWindow(t *torrent.Torrent, s *store, isHead func(netip.Addr) bool) *window {
	return &window{torrent: t, store: s, isHead: isHead, size: max(windowMinPieces, int(windowBytes/s.pieceLength)),
		wanted: map[int]bool{}}
}

// run moves the window along until ctx ends.
func (w *window) run(ctx context.Context) {
	tick := time.NewTicker(windowTick)
	defer tick.Stop()
	w.near = w.atNodes()
	for {
		w.move()
		select {
		case <-ctx.Done():
			return
		case <-time.After(windowPause):
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.near = w.atNodes()
		case <-w.store.progress:
		}
	}
}

// move takes out what is done and fills up what is wanted.
func (w *window) move() {
	missing := w.store.missing()
	if len(missing) == 0 && len(w.wanted) == 0 {
		return
	}
	for piece := range w.wanted {
		if w.store.done[piece].Load() {
			delete(w.wanted, piece)
		}
	}
	fromNodes, others := 0, 0
	for piece := range w.wanted {
		if w.near[piece] {
			fromNodes++
		} else {
			others++
		}
	}
	rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
	for _, piece := range missing {
		count := &others
		if w.near[piece] {
			count = &fromNodes
		}
		if !w.wanted[piece] && *count < w.size {
			*count++
			w.wanted[piece] = true
			w.torrent.Piece(piece).SetPriority(types.PiecePriorityNormal)
		}
	}
}

// atNodes tells of each piece whether a node that is no head has it.
func (w *window) atNodes() []bool {
	near := make([]bool, w.store.pieces())
	for _, c := range w.torrent.PeerConns() {
		if addr, ok := peerAddr(c.RemoteAddr); ok && w.isHead(addr) {
			continue
		}
		has := c.PeerPieces()
		for i := range near {
			near[i] = near[i] || has.Contains(uint32(i))
		}
	}
	return near
}
