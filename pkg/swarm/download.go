package swarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// DownloadConfig says what a node fetches, and from whom.
type DownloadConfig struct {
	// Dir is where segments go, as <sha256 hex>; it is made when it does not exist.
	Dir string
	// Joined has all segments lie one behind the other in the file Dir/Joined, in the order of the torrent; the names by
	// their digests are not there then.
	Joined string
	// Window is how many bytes of segments may be there at a time, for a machine that has no memory for all of them; a
	// single segment may be larger. Each has to be dropped when it was used, which has the next one come, and nothing is
	// passed on. Dir must be empty and Joined not set. 0 keeps everything.
	Window int64
	// Torrent is the torrent file, with the trackers to announce to.
	Torrent []byte
	// HTTPBases are the URLs below which the heads have the segments, as in
	// "http://10.30.255.254:7051/payload/". One that fails leaves its place to the next.
	HTTPBases []string
	// ListenPort is the BitTorrent port; 0 is any.
	ListenPort int
	// Local is the address to listen on and to dial from; the zero address is all.
	Local netip.Addr
	// Near is this node's network: pieces are asked of nodes in it before others. The zero prefix makes no
	// difference.
	Near netip.Prefix
	// HeadAddrs are addresses of heads: what comes from there counts as theirs, as does what comes
	// from a peer that calls itself a head.
	HeadAddrs []netip.Addr
	// Stall is how long no piece may come from the swarm before pieces are fetched over HTTP; 0 is 8 s.
	Stall time.Duration
	Log   *slog.Logger
	// SegmentDone is called for each segment that is complete, from one goroutine; Dir/<hex>, or its part of
	// Dir/Joined, then is whole and its SHA-256 is hex. It may be nil.
	SegmentDone func(hex string)
}

// Stats is how far a download is.
type Stats struct {
	// Total and Completed are bytes of the segments, and of the pieces that were checked.
	Total, Completed int64
	// FromHead is bytes of pieces from the heads, over BitTorrent and HTTP; FromPeers is from other nodes.
	FromHead, FromPeers int64
	// Sent is bytes of pieces that others were sent.
	Sent int64
	// Peers is how many are connected, Lacking how many of them are nodes that do not have everything yet.
	Peers, Lacking int
	// LastError is the last thing that went wrong, though it may have come right since.
	LastError string
	// LastProgress is when the last piece was completed; zero before the first.
	LastProgress time.Time
}

// maxPeersOfNode is to how many others a node is connected.
const maxPeersOfNode = 60

// maxWrong is how often a segment may have the wrong digest though its pieces are right.
const maxWrong = 3

// Downloader fetches the segments of one release from the head and from other nodes, and passes them on.
type Downloader struct {
	cfg    DownloadConfig
	urls   []string
	store  *store
	window *window
	full   chan int      // segments whose pieces are all done
	done   chan struct{} // closed when all segments are complete
	fatal  chan error

	fromHead, fromPeers atomic.Int64
	viaSwarm            atomic.Int64 // pieces that came over BitTorrent
	progress            atomic.Int64 // Unix nanoseconds of the last piece

	mu      sync.Mutex
	lastErr string
	torrent *exchange.Torrent // nil while Run does not run
}

// NewDownloader reads the torrent file; Run does the rest.
func NewDownloader(cfg DownloadConfig) (*Downloader, error) {
	mi, l, err := parseTorrent(cfg.Torrent)
	if err != nil {
		return nil, err
	}
	if cfg.Window > 0 && cfg.Joined != "" {
		return nil, errors.New("segments that lie in one file cannot be dropped")
	}
	if cfg.Stall == 0 {
		cfg.Stall = 8 * time.Second
	}
	d := &Downloader{cfg: cfg, urls: trackers(mi), full: make(chan int, len(l.segments)*(maxWrong+1)),
		done: make(chan struct{}), fatal: make(chan error, 1)}
	d.window = newWindow(cfg.Window, len(l.segments))
	d.store = newStore(cfg.Dir, l, func(seg int) { d.full <- seg }) // as often as full has room
	d.store.got, d.store.joined = d.got, cfg.Joined
	return d, nil
}

// Done is closed when all segments are complete.
func (d *Downloader) Done() <-chan struct{} { return d.done }

// Run fetches, and passes on also after all is there, until ctx ends; then it tells the trackers
// and returns nil. An error is one of this machine (no room, port taken), or a segment that does
// not fit its digest again and again. It runs once.
func (d *Downloader) Run(ctx context.Context) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	kind := exchange.Node
	if d.cfg.Window > 0 {
		kind = exchange.Foreign // tells of nothing that it may not have later
	}
	host, err := exchange.Listen(exchange.Config{Kind: kind, Log: d.cfg.Log,
		Listen: netip.AddrPortFrom(d.cfg.Local, uint16(d.cfg.ListenPort))})
	if err != nil {
		return err
	}
	defer d.store.close()
	t, err := host.Add(d.torrentConfig())
	if err != nil {
		return errors.Join(fmt.Errorf("torrent %s: %w", d.store.hash, err), host.Close())
	}
	for piece := range d.store.pieces() {
		if d.store.Has(piece) {
			t.Have(piece)
		}
	}
	d.want(t)
	d.setTorrent(t)
	defer d.setTorrent(nil)
	return d.work(ctx, host, t)
}

func (d *Downloader) torrentConfig() exchange.TorrentConfig {
	return exchange.TorrentConfig{Hash: d.store.hash, Count: d.store.pieces(), PieceLength: d.store.pieceLength,
		Pieces: d.store, Peers: maxPeersOfNode, Near: d.cfg.Near, Failed: d.fail}
}

// work runs all that works together until ctx ends or something is fatal.
func (d *Downloader) work(ctx context.Context, host *exchange.Host, t *exchange.Torrent) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := host.Run(ctx); err != nil {
			d.fail(err)
		}
	})
	wg.Go(func() { d.finishSegments(ctx, t) })
	wg.Go(func() { d.fallBack(ctx, t) })
	one := announcer{local: d.cfg.Local, hash: d.store.hash, host: host, torrent: t, complete: d.done, failed: d.note, log: d.cfg.Log,
		counts: func() (int64, int64, int64) {
			return t.Sent(), d.fromHead.Load() + d.fromPeers.Load(), d.store.size() - d.store.completed()
		}}
	wg.Go(func() { announceAll(ctx, d.urls, one) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.fatal:
		return err
	}
}

// prepare finds what an earlier run has left in Dir.
func (d *Downloader) prepare(ctx context.Context) error {
	if err := os.MkdirAll(d.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("make segment directory: %w", err)
	}
	for seg := range d.store.segments {
		if err := d.store.reopen(seg); err != nil {
			return fmt.Errorf("take up segment: %w", err)
		}
		if err := d.store.trimPart(seg); err != nil {
			return err
		}
		if !d.store.hasPart(seg) {
			continue
		}
		err := d.store.check(seg, func(piece int, right bool) error {
			if right {
				d.store.markDone(piece)
			}
			return ctx.Err()
		})
		if err != nil {
			return fmt.Errorf("take up segment: %w", err)
		}
	}
	return nil
}

// got counts a piece that came from a peer.
func (d *Downloader) got(from exchange.Source) {
	if from.Kind == exchange.Head || slices.Contains(d.cfg.HeadAddrs, from.Addr) {
		d.fromHead.Add(d.store.pieceLength)
	} else {
		d.fromPeers.Add(d.store.pieceLength)
	}
	d.viaSwarm.Add(1)
	d.progress.Store(time.Now().UnixNano())
}
