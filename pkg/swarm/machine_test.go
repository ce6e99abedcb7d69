package swarm_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// envRole has the role of a process that is a machine of a room, as JSON.
const envRole = "LUNA_SWARM_MACHINE"

const (
	trackerPort = 7051
	peerPort    = 7052
)

// role is what a machine does. Head is the head that has Payload, otherwise it is a node that
// downloads into Dir, or, with Bad, one that does no good.
type role struct {
	Head    bool
	Bad     string
	Addr    netip.Addr
	Heads   []netip.Addr
	Torrent string // the torrent file
	Dir     string
	Stall   time.Duration
	Near    netip.Prefix
}

// word is what a machine says on its standard output, a line each.
type word struct {
	Ready    bool
	Complete bool
	Stats    swarm.Stats
}

func TestMain(m *testing.M) {
	text := os.Getenv(envRole)
	if text == "" {
		os.Exit(m.Run())
	}
	var r role
	err := json.Unmarshal([]byte(text), &r)
	if err == nil {
		err = r.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (r role) run() error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			lines <- s.Text()
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	switch {
	case r.Bad != "":
		return r.bad(ctx, lines)
	case r.Head:
		return r.head(ctx, lines, log)
	}
	return r.node(ctx, cancel, lines, log)
}

func say(w word) {
	data, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(data))
}

// head serves until its input ends. On the line "untrack" it closes the tracker and all of HTTP, on
// "unseed" it seeds nothing any more.
func (r role) head(ctx context.Context, lines <-chan string, log *slog.Logger) error {
	torrent, err := os.ReadFile(r.Torrent)
	if err != nil {
		return err
	}
	hash, _, err := swarm.Segments(torrent)
	if err != nil {
		return err
	}
	s, err := swarm.NewSeeder(swarm.SeederConfig{Dir: r.Dir, Listen: netip.AddrPortFrom(r.Addr, peerPort), Log: log})
	if err != nil {
		return err
	}
	if err := s.Set(map[swarm.InfoHash]swarm.Wanted{hash: {Torrent: torrent}}); err != nil {
		return err
	}
	srv := r.office(s, hash)
	ended := make(chan error, 2)
	go func() { ended <- srv.ListenAndServe() }()
	go func() { ended <- s.Run(ctx) }()
	for o := s.Torrents()[0]; o.Offered < o.Size; o = s.Torrents()[0] {
		time.Sleep(5 * time.Millisecond)
	}
	say(word{Ready: true})
	for line := range lines {
		switch line {
		case "untrack":
			err = srv.Close()
		case "unseed":
			err = s.Set(nil)
		}
		if err != nil {
			return err
		}
	}
	select {
	case err := <-ended:
		if !errors.Is(err, http.ErrServerClosed) {
			return err
		}
	default:
	}
	return nil
}

// office is the head's tracker, and its segments over HTTP.
func (r role) office(s *swarm.Seeder, hash swarm.InfoHash) *http.Server {
	tracker := swarm.NewTracker(swarm.TrackerConfig{Pace: swarm.Pace{Interval: 3 * time.Second},
		Head: swarm.Head{Port: s.Port(), PeerID: s.PeerID()}})
	tracker.SetTorrents([]swarm.InfoHash{hash})
	mux := http.NewServeMux()
	mux.Handle("/announce", tracker)
	mux.Handle("/scrape", tracker)
	mux.Handle("/payload/", http.StripPrefix("/payload/", http.FileServer(http.Dir(r.Dir))))
	return &http.Server{Addr: netip.AddrPortFrom(r.Addr, trackerPort).String(), Handler: mux}
}

// node begins at a line of its input, tells how far it is, and ends with its input.
func (r role) node(ctx context.Context, cancel context.CancelFunc, lines <-chan string, log *slog.Logger) error {
	torrent, err := os.ReadFile(r.Torrent)
	if err != nil {
		return err
	}
	cfg := swarm.DownloadConfig{Dir: r.Dir, Local: r.Addr, HeadAddrs: r.Heads, Stall: r.Stall, Near: r.Near, Log: log, ListenPort: peerPort}
	var trackers []string
	for _, h := range r.Heads {
		at := netip.AddrPortFrom(h, trackerPort)
		trackers = append(trackers, fmt.Sprintf("http://%s/announce", at))
		cfg.HTTPBases = append(cfg.HTTPBases, fmt.Sprintf("http://%s/payload/", at))
	}
	if cfg.Torrent, err = swarm.WithTrackers(torrent, trackers...); err != nil {
		return err
	}
	d, err := swarm.NewDownloader(cfg)
	if err != nil {
		return err
	}
	say(word{Ready: true})
	if _, ok := <-lines; !ok {
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	go func() {
		for range lines {
		}
		cancel()
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	done := d.Done()
	for {
		select {
		case <-tick.C:
			say(word{Stats: d.Stats()})
		case <-done:
			done = nil
			say(word{Complete: true, Stats: d.Stats()})
		case err := <-ended:
			return err
		}
	}
}

// roomPayload makes a payload of segments in a directory, and its torrent file.
func roomPayload(t testing.TB, dir string, length int, seed uint64, pieces ...int) (p payload, torrent string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "payload"), 0o755); err != nil {
		t.Fatal(err)
	}
	p = newPayloadOf(t, filepath.Join(dir, "payload"), length, seed, pieces...)
	torrent = filepath.Join(dir, "torrent")
	write(t, torrent, p.torrent)
	return p, torrent
}

// listenAt listens where machines do.
func (r role) listenAt() (net.Listener, error) {
	return net.Listen("tcp", netip.AddrPortFrom(r.Addr, peerPort).String())
}

// latest keeps the last of something.
type latest[T any] struct {
	mu sync.Mutex
	v  T
}

func (l *latest[T]) set(v T) { l.mu.Lock(); defer l.mu.Unlock(); l.v = v }

func (l *latest[T]) get() T { l.mu.Lock(); defer l.mu.Unlock(); return l.v }
