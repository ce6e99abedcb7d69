package swarm_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// patience is how long a test waits for what should take a second or two.
const patience = 60 * time.Second

var headAddr = netip.MustParseAddr("127.0.0.1")

// head is a head on 127.0.0.1: tracker, segments over HTTP, seeder.
type head struct {
	*swarm.Tracker
	seeder *swarm.Seeder
	change func(*swarm.SeederConfig) // nil changes nothing
	url    string
	stop   func() // of the seeder
	// served counts the answers of /payload/.
	mu     sync.Mutex
	served int
}

// newHead starts a head that has the payloads. Its seeder listens on a port of its choice.
func newHead(t testing.TB, dir string, ps ...payload) *head {
	t.Helper()
	return newHeadWith(t, dir, nil, ps...)
}

// newHeadWith starts one whose seeder is configured otherwise.
func newHeadWith(t testing.TB, dir string, change func(*swarm.SeederConfig), ps ...payload) *head {
	t.Helper()
	h := &head{Tracker: swarm.NewTracker(swarm.TrackerConfig{Pace: swarm.Pace{Interval: time.Second}})}
	h.change = change
	h.startSeeder(t, dir, ps...)
	mux := http.NewServeMux()
	mux.Handle("/announce", h.Tracker)
	mux.Handle("/scrape", h.Tracker)
	files := http.StripPrefix("/payload/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("/payload/", func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.served++
		h.mu.Unlock()
		files.ServeHTTP(w, r)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

func (h *head) startSeeder(t testing.TB, dir string, ps ...payload) {
	t.Helper()
	cfg := swarm.SeederConfig{Dir: dir, Listen: netip.AddrPortFrom(headAddr, 0), Recheck: 50 * time.Millisecond, Log: quietLog()}
	if h.change != nil {
		h.change(&cfg)
	}
	s, err := swarm.NewSeeder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("seeder: %v", err)
		}
	})
	t.Cleanup(h.stop)
	h.seeder = s
	h.SetHead(swarm.Head{Port: s.Port(), PeerID: s.PeerID()})
	h.has(t, ps...)
}

// has makes the head have these payloads and no others.
func (h *head) has(t testing.TB, ps ...payload) {
	t.Helper()
	wanted := map[swarm.InfoHash]swarm.Wanted{}
	var hashes []swarm.InfoHash
	for _, p := range ps {
		wanted[p.hash] = swarm.Wanted{Torrent: p.torrent}
		hashes = append(hashes, p.hash)
	}
	if err := h.seeder.Set(wanted); err != nil {
		t.Fatal(err)
	}
	h.SetTorrents(hashes)
}

// offers waits until the seeder offers so many bytes of a torrent.
func (h *head) offers(t testing.TB, p payload, bytes int64) {
	t.Helper()
	eventually(t, func() bool {
		for _, s := range h.seeder.Torrents() {
			if s.InfoHash == p.hash {
				return s.Offered == bytes
			}
		}
		return false
	})
}

// node is a downloader that runs.
type node struct {
	*swarm.Downloader
	dir  string
	stop func() error
	over chan struct{} // closed when Run has returned
	err  error         // of Run, once over
	told bool          // an error was expected
	mu   sync.Mutex
	done []string // segments reported
}

// boot starts a node with an address of its own.
func (h *head) boot(t testing.TB, addr string, p payload, change ...func(*swarm.DownloadConfig)) *node {
	t.Helper()
	n := &node{dir: t.TempDir()}
	cfg := swarm.DownloadConfig{Dir: n.dir, Torrent: p.announcingTo(t, h.url+"/announce"), HTTPBases: []string{h.url + "/payload/"},
		Local: netip.MustParseAddr(addr), HeadAddrs: []netip.Addr{headAddr}, Log: quietLog(),
		Stall: time.Hour, SegmentDone: func(hex string) { n.mu.Lock(); n.done = append(n.done, hex); n.mu.Unlock() }}
	for _, c := range change {
		c(&cfg)
	}
	n.dir = cfg.Dir
	d, err := swarm.NewDownloader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Downloader = d
	ctx, cancel := context.WithCancel(context.Background())
	n.over = make(chan struct{})
	go func() { defer close(n.over); n.err = d.Run(ctx) }()
	n.stop = func() error { cancel(); <-n.over; return n.err }
	t.Cleanup(func() {
		if err := n.stop(); err != nil && !n.told {
			t.Errorf("node %s: %v", addr, err)
		}
	})
	return n
}

// complete waits until a node has all.
func (n *node) complete(t testing.TB) swarm.Stats {
	t.Helper()
	select {
	case <-n.Done():
	case <-time.After(patience):
		t.Fatalf("not complete: %+v", n.Stats())
	}
	return n.Stats()
}

// ended waits until a node gives up, and returns why.
func (n *node) ended(t testing.TB) error {
	t.Helper()
	n.told = true
	select {
	case <-n.over:
	case <-time.After(patience):
		t.Fatalf("it does not end: %+v", n.Stats())
	}
	return n.err
}

func eventually(t testing.TB, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatal("it did not come to be")
}

// closedPort returns a port of the head that refuses connections.
func closedPort(t testing.TB) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String()).Port()
}

func useStall(d time.Duration) func(*swarm.DownloadConfig) {
	return func(c *swarm.DownloadConfig) { c.Stall = d }
}

func mustContain(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}
