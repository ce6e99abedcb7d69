package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// envPeer has the part of a process of Swarm, as JSON.
const envPeer = "LUNA_BENCH_PEER"

const (
	trackerPort = 7051
	peerPort    = 7052
)

// complete is what a node says when it has all.
const complete = "complete"

// part is what a machine does in an exchange.
type part struct {
	// Kind is head, node, tracker, library-head or library-node.
	Kind    string
	Addr    netip.Addr
	Torrent string // the file
	Dir     string // of the segments
}

// Peer plays the part that Swarm gave this process and ends it; without one it returns at once. Programs that call
// Swarm call it first.
func Peer() {
	text := os.Getenv(envPeer)
	if text == "" {
		return
	}
	var p part
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.play()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// play says "ready", begins at a line of the input, and ends with the input.
func (p part) play() error {
	data, err := os.ReadFile(p.Torrent)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run := map[string]func(context.Context, []byte) (func() error, error){
		"head": p.head, "node": p.node, "tracker": p.tracker, "library-head": p.libraryHead, "library-node": p.libraryNode,
	}[p.Kind]
	if run == nil {
		return fmt.Errorf("part %q", p.Kind)
	}
	begin, err := run(ctx, data)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if !lines.Scan() {
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- begin() }()
	go func() {
		for lines.Scan() {
		}
		ended <- nil
	}()
	return <-ended
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

// head seeds, tracks, and has the segments over HTTP.
func (p part) head(ctx context.Context, data []byte) (func() error, error) {
	hash, _, err := swarm.Segments(data)
	if err != nil {
		return nil, err
	}
	s, err := swarm.NewSeeder(swarm.SeederConfig{Dir: p.Dir, Listen: netip.AddrPortFrom(p.Addr, peerPort), Log: quiet()})
	if err != nil {
		return nil, err
	}
	if err := s.Set(map[swarm.InfoHash]swarm.Wanted{hash: {Torrent: data}}); err != nil {
		return nil, err
	}
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- p.office(hash, swarm.Head{Port: s.Port(), PeerID: s.PeerID()}) }()
	for o := s.Torrents()[0]; o.Offered < o.Size; o = s.Torrents()[0] {
		time.Sleep(5 * time.Millisecond)
	}
	return func() error { return <-ended }, nil
}

// tracker tracks for others' programs.
func (p part) tracker(_ context.Context, data []byte) (func() error, error) {
	hash, _, err := swarm.Segments(data)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.office(hash, swarm.Head{}) }()
	return func() error { return <-ended }, nil
}

func (p part) office(hash swarm.InfoHash, head swarm.Head) error {
	t := swarm.NewTracker(swarm.TrackerConfig{Head: head})
	t.SetTorrents([]swarm.InfoHash{hash})
	mux := http.NewServeMux()
	mux.Handle("/announce", t)
	mux.Handle("/scrape", t)
	mux.Handle("/payload/", http.StripPrefix("/payload/", http.FileServer(http.Dir(p.Dir))))
	return http.ListenAndServe(netip.AddrPortFrom(p.Addr, trackerPort).String(), mux)
}

// node downloads as a booting machine does.
func (p part) node(ctx context.Context, data []byte) (func() error, error) {
	d, err := swarm.NewDownloader(swarm.DownloadConfig{Dir: p.Dir, Torrent: data, Local: p.Addr, ListenPort: peerPort, Log: quiet(),
		HeadAddrs: []netip.Addr{swarmHead}, HTTPBases: []string{fmt.Sprintf("http://%s:%d/payload/", swarmHead, trackerPort)}})
	if err != nil {
		return nil, err
	}
	return func() error {
		go func() {
			<-d.Done()
			fmt.Println(complete)
		}()
		return d.Run(ctx)
	}, nil
}

// library is a client of anacrolix/torrent as it comes, without what looks for the Internet.
func (p part) library() (*torrent.Client, error) {
	cfg := torrent.NewDefaultClientConfig()
	cfg.NoDHT, cfg.NoDefaultPortForwarding, cfg.Seed, cfg.ListenPort, cfg.DisableIPv6 = true, true, true, peerPort, true
	cfg.Slogger = quiet()
	cfg.DefaultStorage = storage.NewFileOpts(storage.NewFileClientOpts{ClientBaseDir: filepath.Dir(p.Dir),
		PieceCompletion: storage.NewMapPieceCompletion()})
	return torrent.NewClient(cfg)
}

func (p part) join(c *torrent.Client, data []byte) (*torrent.Torrent, error) {
	mi, err := metainfo.Load(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return c.AddTorrent(mi)
}

func (p part) libraryHead(ctx context.Context, data []byte) (func() error, error) {
	c, err := p.library()
	if err != nil {
		return nil, err
	}
	t, err := p.join(c, data)
	if err != nil {
		return nil, err
	}
	if err := t.VerifyDataContext(ctx); err != nil {
		return nil, err
	}
	return func() error { <-c.Closed(); return nil }, nil
}

func (p part) libraryNode(_ context.Context, data []byte) (func() error, error) {
	c, err := p.library()
	if err != nil {
		return nil, err
	}
	return func() error {
		t, err := p.join(c, data)
		if err != nil {
			return err
		}
		<-t.GotInfo()
		t.DownloadAll()
		<-t.Complete().On()
		fmt.Println(complete)
		<-c.Closed()
		return nil
	}, nil
}
