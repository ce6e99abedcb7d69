package seed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/services/torrent-seeder/internal/kept"
)

// retry is how long what failed waits before it is tried again.
const retry = 3 * time.Second

// Options says what a seed works with.
type Options struct {
	State *projection.State
	Files *kept.Files
	// Payload is the directory of segments.
	Payload string
	// Listen is the BitTorrent address.
	Listen netip.AddrPort
	// Upload is how many bytes of pieces are sent a second over BitTorrent; nil is no limit.
	Upload *rate.Limiter
	// Head is this head's name. Segments of releases that others packed are fetched when Fetch is set.
	Head  string
	Fetch bool
	Log   *slog.Logger
}

// Seed is a task: seeder and tracker of one head, following the kept releases.
type Seed struct {
	o       Options
	tracker *swarm.Tracker
	now     atomic.Pointer[picture]

	mu      sync.Mutex
	seeder  *swarm.Seeder // nil until its port could be opened
	failed  error
	changed chan struct{} // closed at the next change of the site
}

// picture is what was last made true.
type picture struct {
	site     Site
	torrents map[release.Digest]Torrent
	releases []kept.Release
}

// New returns a seed that does nothing until it runs.
func New(o Options) *Seed {
	s := &Seed{o: o, tracker: swarm.NewTracker(swarm.TrackerConfig{}), changed: make(chan struct{})}
	s.now.Store(&picture{site: siteOf(nil)})
	return s
}

// Tracker returns the head's tracker.
func (s *Seed) Tracker() *swarm.Tracker { return s.tracker }

// Torrent returns the torrent file of a kept release, with this cluster's trackers; ok is false
// when no kept release has it, or the cluster has no address yet.
func (s *Seed) Torrent(d release.Digest) (file []byte, ok bool, err error) {
	p := s.now.Load()
	t, ok := p.torrents[d]
	if !ok || len(p.site.Heads) == 0 {
		return nil, false, nil
	}
	file, err = swarm.WithTrackers(t.File, p.site.Trackers()...)
	return file, true, err
}

// Seeder returns the seeder; nil while its port is not open.
func (s *Seed) Seeder() *swarm.Seeder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seeder
}

// Port returns the HTTP port that the cluster wants, and a channel that is closed when it may have changed.
func (s *Seed) Port() (port uint16, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Load().site.Port, s.changed
}

// Run opens the BitTorrent port, then follows the kept releases until ctx ends.
func (s *Seed) Run(ctx context.Context) error {
	seeder, err := s.open(ctx)
	if err != nil || seeder == nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- seeder.Run(ctx) }()
	for ctx.Err() == nil {
		changed := s.o.State.Changed()
		err := s.Match(ctx)
		s.note(ctx, err)
		var again <-chan time.Time
		if err != nil {
			again = time.After(retry)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-again:
		}
	}
	return <-ended
}

// open opens the BitTorrent port, as often as it takes; a nil seeder means that ctx ended.
func (s *Seed) open(ctx context.Context) (*swarm.Seeder, error) {
	for {
		seeder, err := swarm.NewSeeder(swarm.SeederConfig{Dir: s.o.Payload, Listen: s.o.Listen, Limit: s.o.Upload, Log: s.o.Log})
		if err == nil {
			s.mu.Lock()
			s.seeder = seeder
			s.mu.Unlock()
			return seeder, nil
		}
		s.note(ctx, run.TakenPort(err, net.JoinHostPort("", strconv.Itoa(int(s.o.Listen.Port())))))
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(retry):
		}
	}
}

// Match makes seeder and tracker have the torrents of all kept releases. It may run any number of times.
func (s *Seed) Match(ctx context.Context) error {
	p := &picture{}
	err := s.o.State.View(func(tx *projection.Tx) error {
		cluster, err := catalog.Of(tx).Cluster()
		if err != nil {
			return err
		}
		networks, err := catalog.Of(tx).Networks()
		if err != nil {
			return err
		}
		p.site = siteOf(cluster, networks...)
		p.releases, err = kept.Releases(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read releases: %w", err)
	}
	old := s.now.Load()
	if s.lastError() == nil && old.torrents != nil && slices.Equal(old.releases, p.releases) && old.site.equal(p.site) {
		return nil
	}
	p.torrents, err = load(ctx, s.o.Files, p.releases)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, s.apply(p), s.o.Files.Sweep(named(p.releases)))
}

// apply gives the picture to seeder, tracker and those who ask for torrents.
func (s *Seed) apply(p *picture) error {
	local, err := localAddrs()
	if err != nil {
		return err
	}
	seeder := s.Seeder()
	wanted := map[swarm.InfoHash]swarm.Wanted{}
	for _, t := range p.torrents {
		w := swarm.Wanted{Torrent: t.File, Current: t.Release.Current, Fetch: s.o.Fetch && t.Release.Head != s.o.Head}
		if w.Fetch {
			w.Trackers = p.site.others(local)
		}
		wanted[t.InfoHash] = w
	}
	hashes := make([]swarm.InfoHash, 0, len(wanted))
	for h := range wanted {
		hashes = append(hashes, h)
	}
	err = seeder.Set(wanted)
	s.tracker.SetPace(p.site.Pace)
	s.tracker.SetHead(swarm.Head{Port: seeder.Port(), Others: p.site.Heads, PeerID: seeder.PeerID()})
	s.tracker.SetNetworks(p.site.Networks)
	s.tracker.SetTorrents(hashes)
	s.now.Store(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.o.Log.Info("releases seeded", "torrents", len(wanted))
	return err
}

// named returns the files of releases.
func named(releases []kept.Release) map[release.Digest]bool {
	keep := map[release.Digest]bool{}
	for _, r := range releases {
		keep[r.Torrent], keep[r.Manifest] = true, true
	}
	return keep
}

func (s Site) equal(o Site) bool {
	return s.Port == o.Port && s.Pace == o.Pace && slices.Equal(s.Heads, o.Heads) && slices.Equal(s.Networks, o.Networks)
}
