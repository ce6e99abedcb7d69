package swarm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
)

// DownloadConfig says what a node fetches, and from whom.
type DownloadConfig struct {
	// Dir is where segments go, as <sha256 hex>; it is made when it does not exist.
	Dir string
	// Torrent is the torrent file, with the trackers to announce to.
	Torrent []byte
	// HTTPBases are the URLs below which the heads have the segments, as in
	// "http://10.30.255.254:7051/payload/". One that fails leaves its place to the next.
	HTTPBases []string
	// ListenPort is the BitTorrent port; 0 is any.
	ListenPort int
	// Local is the address to listen on and to dial from; the zero address is all.
	Local netip.Addr
	// HeadAddrs are the addresses of the heads; what comes from others counts as from peers.
	HeadAddrs []netip.Addr
	// Stall is how long no piece may come from the swarm before pieces are fetched over HTTP; 0 is 8 s.
	Stall time.Duration
	Log   *slog.Logger
	// SegmentDone is called for each segment that is complete, from one goroutine; Dir/<hex> then
	// is whole and its SHA-256 is hex. It may be nil.
	SegmentDone func(hex string)
}

// Stats is how far a download is.
type Stats struct {
	// Total and Completed are bytes of the segments, and of the pieces that were checked.
	Total, Completed int64
	// FromHead is bytes of pieces from the heads, over BitTorrent and HTTP; FromPeers is from other nodes.
	FromHead, FromPeers int64
	// Peers is how many are connected.
	Peers int
	// LastError is the last thing that went wrong, though it may have come right since.
	LastError string
	// LastProgress is when the last piece was completed; zero before the first.
	LastProgress time.Time
}

// maxWrong is how often a segment may have the wrong digest though its pieces are right.
const maxWrong = 3

// Downloader fetches the segments of one release from the head and from other nodes, and passes them on.
type Downloader struct {
	cfg   DownloadConfig
	urls  []string
	store *store
	full  chan int      // segments whose pieces are all done
	done  chan struct{} // closed when all segments are complete
	fatal chan error

	fromHead, fromPeers atomic.Int64
	viaSwarm            atomic.Int64 // pieces that came over BitTorrent
	progress            atomic.Int64 // Unix nanoseconds of the last piece

	mu      sync.Mutex
	lastErr string
	torrent *torrent.Torrent // nil while Run does not run
}

// NewDownloader reads the torrent file; Run does the rest.
func NewDownloader(cfg DownloadConfig) (*Downloader, error) {
	mi, l, err := parseTorrent(cfg.Torrent)
	if err != nil {
		return nil, err
	}
	if cfg.Stall == 0 {
		cfg.Stall = 8 * time.Second
	}
	d := &Downloader{cfg: cfg, urls: trackers(mi), full: make(chan int, len(l.segments)*(maxWrong+1)),
		done: make(chan struct{}), fatal: make(chan error, 1)}
	d.store = newStore(cfg.Dir, l, func(seg int) { d.full <- seg }) // as often as full has room
	d.store.received = func(int) { d.viaSwarm.Add(1); d.progress.Store(time.Now().UnixNano()) }
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
	lim := limits{peers: 60, dials: 30, halfOpen: 30, pieceJobs: 2}
	cl, err := newClient(d.listen(), lim, torrent.Callbacks{ReceivedUsefulData: []func(torrent.ReceivedUsefulDataEvent){d.count}}, d.cfg.Log)
	if err != nil {
		return err
	}
	t, _ := cl.AddTorrentOpt(torrent.AddTorrentOpts{InfoHash: d.store.hash, InfoBytes: d.store.infoBytes, Storage: d.store})
	if t.Info() == nil {
		return errors.Join(append(cl.Close(), fmt.Errorf("torrent %s: the library does not take it", d.store.hash))...)
	}
	t.SetOnWriteChunkError(d.fail)
	d.setTorrent(t)
	err = d.work(ctx, cl, t)
	d.setTorrent(nil)
	t.Drop()
	return errors.Join(append(cl.Close(), err)...)
}

// work runs what works besides the library until ctx ends or something is fatal.
func (d *Downloader) work(ctx context.Context, cl *torrent.Client, t *torrent.Torrent) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { d.finishSegments(ctx, t) })
	wg.Go(func() { newWindow(t, d.store, d.isHead).run(ctx) })
	wg.Go(func() { d.fallBack(ctx, t) })
	one := announcer{local: d.cfg.Local, torrent: t, client: cl, complete: d.done, trusted: d.isHead,
		failed: d.note, log: d.cfg.Log,
		counts: func() (int64, int64, int64) {
			st := t.Stats()
			return st.BytesWrittenData.Int64(), d.fromHead.Load() + d.fromPeers.Load(), d.store.size() - d.store.completed()
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
		if err := os.Rename(d.store.path(seg), d.store.partPath(seg)); err != nil && !errors.Is(err, fs.ErrNotExist) {
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

func (d *Downloader) listen() netip.AddrPort {
	local := d.cfg.Local
	if !local.IsValid() {
		local = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(local, uint16(d.cfg.ListenPort))
}

// count adds up what peers sent. The library calls it with its lock held.
func (d *Downloader) count(ev torrent.ReceivedUsefulDataEvent) {
	n := int64(len(ev.Message.Piece))
	if addr, ok := peerAddr(ev.Peer.RemoteAddr); ok && d.isHead(addr) {
		d.fromHead.Add(n)
	} else {
		d.fromPeers.Add(n)
	}
}

func (d *Downloader) isHead(a netip.Addr) bool { return slices.Contains(d.cfg.HeadAddrs, a) }

func peerAddr(remote torrent.PeerRemoteAddr) (netip.Addr, bool) {
	if tcp, ok := remote.(*net.TCPAddr); ok {
		a, ok := netip.AddrFromSlice(tcp.IP)
		return a.Unmap(), ok
	}
	ap, err := netip.ParseAddrPort(remote.String())
	return ap.Addr().Unmap(), err == nil
}
