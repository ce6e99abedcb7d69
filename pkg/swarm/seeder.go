package swarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// SeederConfig says what a head's seeder works with.
type SeederConfig struct {
	// Dir is the payload directory: segments as <sha256 hex>.
	Dir string
	// Listen is the address of the BitTorrent port; the zero address is all addresses.
	Listen netip.AddrPort
	// Peers limits the connections of one torrent; 0 is 1000.
	Peers int
	// Recheck is how often Dir is looked at for segments that came, changed or went; 0 is 30 s.
	Recheck time.Duration
	// Limit is how many bytes of pieces are sent a second over BitTorrent; nil is no limit. Its burst must be
	// exchange.MinBurst or more.
	Limit *rate.Limiter
	Log   *slog.Logger
}

// Wanted is a torrent that a seeder is to have.
type Wanted struct {
	// Torrent is the torrent file; trackers in it are not used.
	Torrent []byte
	// Trackers are announced to: those of other heads, the own needs no word.
	Trackers []string
	// Fetch lets segments that Dir lacks be fetched from other heads and nodes; Dir is only read without.
	Fetch bool
	// Current puts the torrent before others when segments are checked.
	Current bool
}

// Seeder offers the segments of many torrents on one port. It offers a piece only after it has
// hashed it since it started, and takes it back when its file changes or goes.
type Seeder struct {
	cfg  SeederConfig
	host *exchange.Host
	wake chan struct{} // the set of torrents has changed
	done chan struct{} // closed when Run ends

	mu       sync.Mutex
	torrents map[InfoHash]*seeded
	running  context.Context // of Run; nil before and after
	members  sync.WaitGroup  // announcers and those who finish segments
	checked  map[contentKey]content
}

var errNotRunning = errors.New("the seeder does not run")

// NewSeeder opens the BitTorrent port. Torrents given to Set are offered once Run runs.
func NewSeeder(cfg SeederConfig) (*Seeder, error) {
	if cfg.Peers == 0 {
		cfg.Peers = 1000
	}
	if cfg.Recheck == 0 {
		cfg.Recheck = 30 * time.Second
	}
	host, err := exchange.Listen(exchange.Config{Kind: exchange.Head, Listen: cfg.Listen, Limit: cfg.Limit, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return &Seeder{cfg: cfg, host: host, wake: make(chan struct{}, 1), done: make(chan struct{}),
		torrents: map[InfoHash]*seeded{}}, nil
}

// Port returns the port that peers connect to.
func (s *Seeder) Port() uint16 { return s.host.Port() }

// PeerID returns the id that the seeder has among peers (BEP 3).
func (s *Seeder) PeerID() [20]byte { return s.host.PeerID() }

// Run checks segments and offers them until ctx ends, then closes the port. It runs once.
func (s *Seeder) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.running = ctx
	for _, t := range s.torrents {
		s.join(ctx, t)
	}
	s.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- s.host.Run(ctx) }()
	for ctx.Err() == nil {
		s.checkAll(ctx)
		select {
		case <-s.wake:
		case <-time.After(s.cfg.Recheck):
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	s.running = nil
	for _, t := range s.torrents {
		t.stop()
	}
	s.mu.Unlock()
	cancel()
	s.members.Wait()
	close(s.done)
	err := <-ended
	for _, t := range s.inOrder() {
		t.store.close()
	}
	return err
}

// Set makes the seeder have the wanted torrents and no others. It may be called at any time, as
// often as one likes; a torrent that is there already goes on undisturbed. Torrents that cannot
// be had are in the error, the others are seeded all the same.
func (s *Seeder) Set(wanted map[InfoHash]Wanted) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return errNotRunning
	default:
	}
	for hash, t := range s.torrents {
		w, ok := wanted[hash]
		if ok && slices.Equal(w.Trackers, t.wanted.Trackers) && w.Fetch == t.wanted.Fetch {
			t.wanted = w
			continue
		}
		t.drop()
		delete(s.torrents, hash)
	}
	var errs []error
	for _, hash := range slices.SortedFunc(maps.Keys(wanted), compareHashes) {
		if s.torrents[hash] != nil {
			continue
		}
		if err := s.add(hash, wanted[hash]); err != nil {
			errs = append(errs, err)
		}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return errors.Join(errs...)
}

// add takes one torrent in; s.mu is held.
func (s *Seeder) add(hash InfoHash, w Wanted) error {
	_, l, err := parseTorrent(w.Torrent)
	if err != nil {
		return err
	}
	if l.hash != hash {
		return fmt.Errorf("torrent %s: the file is of torrent %s", hash, l.hash)
	}
	t := newSeeded(s.cfg.Dir, l, w, s.cfg.Log)
	t.torrent, err = s.host.Add(exchange.TorrentConfig{Hash: hash, Count: l.pieces(), PieceLength: l.pieceLength,
		Pieces: t.store, Peers: s.cfg.Peers, Failed: t.writeFailed})
	if err != nil {
		return fmt.Errorf("torrent %s: %w", hash, err)
	}
	s.torrents[hash] = t
	if s.running != nil {
		s.join(s.running, t)
	}
	return nil
}

// join starts what works for one torrent besides the exchange; s.mu is held.
func (s *Seeder) join(ctx context.Context, t *seeded) {
	ctx, t.cancel = context.WithCancel(ctx)
	s.members.Go(func() { t.finishSegments(ctx) })
	one := announcer{
		local: s.cfg.Listen.Addr(), hash: t.store.hash, host: s.host, torrent: t.torrent, log: s.cfg.Log,
		counts: func() (int64, int64, int64) { return t.torrent.Sent(), 0, t.store.size() - t.store.completed() },
	}
	trackers := t.wanted.Trackers
	s.members.Go(func() { announceAll(ctx, trackers, one) })
}

func compareHashes(a, b InfoHash) int { return slices.Compare(a[:], b[:]) }
