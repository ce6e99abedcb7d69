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
	// Near is the network of this host. What peers in it have is asked of them; what none has, one of them
	// fetches from others. The zero prefix makes no difference.
	Near netip.Prefix
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
	stir    chan struct{} // there is something to look at
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
	hungry    bool               // more would be asked for if others had it
	usual     mean               // time from asking for a piece to having it
	came      []int32            // pieces in the order in which they came, for those who are told of them
	telling   [plans]*time.Timer // when peers are told
	crowd     int                // nodes that lack pieces, in the whole swarm
	addresses *addresses
	answers   map[string]answer // of each tracker
	offers    *offers[*peer]    // nil but in a head
	imports   *imports          // nil where the network is not known
	chance    *rand.Rand
}

// A torrent with peers looks for what is late every quarter of the time that a piece takes, within these bounds; one
// without looks at times.
const (
	tickLeast = 100 * time.Millisecond
	tickMost  = 500 * time.Millisecond
	idleTick  = 2 * time.Second
)

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
		flying: map[int][]*transfer{}, addresses: newAddresses(), answers: map[string]answer{}, chance: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	t.stir = make(chan struct{}, 1)
	t.buffers.New = func() any { b := make([]byte, cfg.PieceLength); return &b }
	if h.cfg.Kind == Head {
		t.offers = newOffers[*peer](cfg.Count, t.chance)
	}
	if cfg.Near.IsValid() {
		t.imports = newImports(h.id, cfg.Count)
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
	t.tellNobody()
	for _, p := range t.peers {
		p.close(errDropped)
	}
	t.mu.Unlock()
	t.work.Wait()
}

// run looks for what is late until ctx ends.
func (t *Torrent) run(ctx context.Context) {
	for {
		dial, next := t.look(time.Now())
		for _, at := range dial {
			t.work.Go(func() { t.dial(ctx, at) })
		}
		select {
		case <-time.After(next):
		case <-t.stir:
		case <-ctx.Done():
			return
		}
	}
}

// look does what time brings. It returns whom to dial, and when to look again.
func (t *Torrent) look(now time.Time) (dial []netip.AddrPort, next time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, idleTick
	}
	if next = min(max(time.Duration(t.usual)/4, tickLeast), tickMost); len(t.peers) == 0 && len(t.addresses.known) == 0 {
		next = idleTick
	}
	for _, p := range t.peers {
		p.look(now)
	}
	if t.imports != nil {
		t.imports.look(t.usual, now)
	}
	t.schedule(now)
	if t.offers != nil {
		t.offers.doubt(now)
		t.offer(now)
		t.offerMore(now)
	}
	return t.addresses.due(now, t.cfg.Peers-len(t.peers)), next
}

// dial connects to a peer and stays with it.
func (t *Torrent) dial(ctx context.Context, at netip.AddrPort) {
	begin := time.Now()
	c, id, err := t.host.dial(ctx, t.cfg.Hash, at)
	if err == nil && t.meet(c, id, at) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.ended(at, now.Sub(begin), now)
}

// AddPeers tells of the addresses where peers listen that a tracker names; they take the place of those that it named before.
func (t *Torrent) AddPeers(tracker string, list []netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.addresses.add(list, now)
	t.named(tracker, list, now)
	t.lookNow()
}

// Crowd tells how many nodes of the whole swarm lack pieces, as a tracker counts them; connected are fewer.
func (t *Torrent) Crowd(nodes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.crowd = min(max(nodes, 0), crowdMost)
}

// crowdMost is the largest swarm that is believed in.
const crowdMost = 1000

// lookNow makes the torrent look, whenever the next time would be.
func (t *Torrent) lookNow() {
	select {
	case t.stir <- struct{}{}:
	default:
	}
}

// Peers returns how many are connected.
func (t *Torrent) Peers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.peers)
}

// Lacking returns how many nodes are connected, and exchange pieces, that do not have all.
func (t *Torrent) Lacking() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		if p.kind == Node && !p.closed && !p.idle() && p.has.count() < t.pieces {
			n++
		}
	}
	return n
}

// Sent returns the bytes of pieces that were sent.
func (t *Torrent) Sent() int64 { return t.sent.Load() }
