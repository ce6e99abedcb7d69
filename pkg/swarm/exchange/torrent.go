package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent/metainfo"
)

// TorrentConfig says what a torrent is, and who is told of what happens to it.
type TorrentConfig struct {
	Hash metainfo.Hash
	// Count is how many pieces there are, of PieceLength bytes each.
	Count       int
	PieceLength int64
	Pieces      Pieces
	// Peers limits the connections; heads are always let in.
	Peers int
	// Got is called for each piece that came from a peer and was kept; it may be nil.
	Got func(piece int, from Source)
	// Failed is called when a piece could not be kept though it is right; it may be nil.
	Failed func(error)
}

// Torrent is one torrent of a host: what is there, what is wanted, and the peers.
type Torrent struct {
	host *Host
	cfg  TorrentConfig
	shape
	buffers sync.Pool
	sent    atomic.Int64
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	paused    bool
	peers     map[[20]byte]*peer
	have      set
	missing   set      // wanted and not there
	wantable  set      // missing and not in flight
	holders   []uint16 // peers that have a piece
	flying    map[int][]*transfer
	usual     mean    // time from asking for a piece to having it
	came      []int32 // pieces in the order in which they came, for those who are told of them
	telling   [3]bool // by kind: a time is set when peers are told
	addresses *addresses
	offers    *offers[*peer] // nil but in a head
	chance    *rand.Rand
}

// tick is how often a torrent looks for what is late.
const tick = 100 * time.Millisecond

// Add makes a host exchange a torrent of which nothing is there and nothing wanted yet.
func (h *Host) Add(cfg TorrentConfig) (*Torrent, error) {
	if cfg.PieceLength > MaxPieceLength {
		return nil, fmt.Errorf("pieces of %d bytes are longer than %d", cfg.PieceLength, MaxPieceLength)
	}
	if cfg.Count < 1 || cfg.PieceLength < BlockSize {
		return nil, fmt.Errorf("%d pieces of %d bytes cannot be exchanged", cfg.Count, cfg.PieceLength)
	}
	t := &Torrent{host: h, cfg: cfg, shape: shape{cfg.Count, cfg.PieceLength}, peers: map[[20]byte]*peer{},
		have: newSet(cfg.Count), missing: newSet(cfg.Count), wantable: newSet(cfg.Count), holders: make([]uint16, cfg.Count),
		flying: map[int][]*transfer{}, addresses: newAddresses(), chance: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	t.buffers.New = func() any { b := make([]byte, cfg.PieceLength); return &b }
	if h.cfg.Kind == Head {
		t.offers = newOffers[*peer](cfg.Count, t.chance)
	}
	ctx, cancel := context.WithCancel(h.ctx)
	t.cancel = cancel
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil || h.torrents[cfg.Hash] != nil {
		cancel()
		return nil, errors.New("the host is closed, or has the torrent already")
	}
	h.torrents[cfg.Hash] = t
	t.work.Go(func() { t.run(ctx) })
	return t, nil
}

// Drop ends the exchange of a torrent and waits for all that uses its pieces.
func (t *Torrent) Drop() {
	t.host.mu.Lock()
	if t.host.torrents[t.cfg.Hash] == t {
		delete(t.host.torrents, t.cfg.Hash)
	}
	t.host.mu.Unlock()
	t.cancel()
	t.mu.Lock()
	t.closed = true
	for _, p := range t.peers {
		p.close(errDropped)
	}
	t.mu.Unlock()
	t.work.Wait()
}

// run looks for what is late until ctx ends.
func (t *Torrent) run(ctx context.Context) {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case now := <-clock.C:
			for _, at := range t.look(now) {
				t.work.Go(func() { t.dial(ctx, at) })
			}
		case <-ctx.Done():
			return
		}
	}
}

// look does what time brings, and returns whom to dial.
func (t *Torrent) look(now time.Time) []netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	for _, p := range t.peers {
		p.look(now)
	}
	t.schedule(now)
	if t.offers != nil {
		t.offers.doubt(now)
		t.offer(now)
		t.offerMore(now)
	}
	return t.addresses.due(now, t.cfg.Peers-len(t.peers))
}

// dial connects to a peer and stays with it.
func (t *Torrent) dial(ctx context.Context, at netip.AddrPort) {
	begin := time.Now()
	c, id, err := t.host.dial(ctx, t.cfg.Hash, at)
	if err == nil && t.meet(c, id, at) {
		return // connected to it all the same
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.addresses.ended(at, now.Sub(begin), now)
}

// AddPeers tells of addresses where peers listen.
func (t *Torrent) AddPeers(list []netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addresses.add(list, time.Now())
}

// Want says that some pieces are to be fetched, or no more, unless they are there.
func (t *Torrent) Want(first, count int, want bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := first; i < first+count; i++ {
		if want && !t.have.has(i) {
			t.missing.add(i)
		} else {
			t.missing.remove(i)
		}
		t.settle(i)
	}
	t.tellInterest()
	t.schedule(time.Now())
}

// Pause stops asking for pieces, or goes on.
func (t *Torrent) Pause(pause bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = pause
	t.schedule(time.Now())
}

// Have says that a piece is there and was checked.
func (t *Torrent) Have(piece int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gain(piece, time.Now())
}

// gain notes that a piece is there, and tells the peers; t.mu is held.
func (t *Torrent) gain(piece int, now time.Time) {
	if t.closed || t.have.has(piece) {
		return
	}
	t.have.add(piece)
	t.missing.remove(piece)
	for _, tr := range t.flying[piece] {
		if !tr.whole {
			tr.from.cancel(tr)
		}
	}
	t.settle(piece)
	t.came = append(t.came, int32(piece))
	if t.offers != nil {
		t.offers.gain(piece)
		t.offer(now)
	}
	t.tell(piece)
	if t.missing.empty() {
		t.tellInterest()
	}
}

// Lose says that a piece is not there any more. Who was told of it is disconnected: there is no
// message that takes it back.
func (t *Torrent) Lose(piece int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.have.has(piece) {
		return
	}
	t.have.remove(piece)
	if t.offers != nil {
		t.offers.lose(piece)
	}
	for _, p := range t.peers {
		if !t.offersTo(p) || p.offered.has(piece) {
			p.close(errTaken)
		}
	}
}

// settle notes whether a piece may be asked for; t.mu is held.
func (t *Torrent) settle(piece int) {
	if t.missing.has(piece) && len(t.flying[piece]) == 0 {
		t.wantable.add(piece)
	} else {
		t.wantable.remove(piece)
	}
}

// Peers returns how many are connected.
func (t *Torrent) Peers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.peers)
}

// Sent returns the bytes of pieces that were sent.
func (t *Torrent) Sent() int64 { return t.sent.Load() }
