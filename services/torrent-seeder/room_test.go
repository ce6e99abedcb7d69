package torrentseeder_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	torrentseeder "github.com/luna-hpc/luna/services/torrent-seeder"
)

const (
	osimage  = "01J00000000000000000000001"
	patience = 60 * time.Second
)

// room is a bus, a head's data directory and somebody who publishes.
type room struct {
	srv  *natstest.Server
	conn *bus.Conn
	data string
	port uint16 // of HTTP
}

func newRoom(t *testing.T) *room {
	t.Helper()
	srv := natstest.Start(t)
	r := &room{srv: srv, conn: srv.Connect(t, "setup"), data: t.TempDir(), port: uint16(testenv.FreePorts(t, 1)[0])}
	r.cluster(t, r.port)
	return r
}

func (r *room) publish(t *testing.T, subj string, m proto.Message) {
	t.Helper()
	data, err := wire.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.conn.JS.Publish(t.Context(), subj, data); err != nil {
		t.Fatal(err)
	}
}

// cluster says that the head is 127.0.0.1.
func (r *room) cluster(t *testing.T, port uint16) {
	t.Helper()
	r.publish(t, subject.Object("cluster", "01J00000000000000000000000"), &inventoryv1.Cluster{
		Id: "01J00000000000000000000000", FrontendAddress: "127.0.0.1", ServerPort: uint32(port),
		TrackerInterval: 1, TrackerMinInterval: 1, TrackerMaxpeers: 50,
	})
}

// packed is a release that was packed into the room's payload directory.
type packed struct {
	*imagepackerv1.Release
	manifest *release.Manifest
}

// pack packs a tree with one file of random bytes, and puts torrent and manifest into the store.
func (r *room) pack(t *testing.T, seed byte) packed {
	t.Helper()
	tree := t.TempDir()
	content := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content) // never fails
	if err := os.WriteFile(filepath.Join(tree, "file"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	payload := filepath.Join(r.data, "payload")
	if err := os.MkdirAll(payload, 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := release.Pack(t.Context(), release.Options{Tree: tree, PayloadDir: payload, KernelVersion: "6.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	torrent, hash, err := release.Torrent(m, payload)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return packed{manifest: m, Release: &imagepackerv1.Release{
		Manifest: r.store(t, manifest), Torrent: r.store(t, torrent), InfoHash: hash.HexString(), Osimage: "compute", Head: "head"}}
}

// store puts a file into the object store and returns its digest.
func (r *room) store(t *testing.T, data []byte) string {
	t.Helper()
	store, err := r.conn.JS.ObjectStore(t.Context(), subject.Files)
	if err != nil {
		t.Fatal(err)
	}
	d := release.DigestOf(data)
	if _, err := store.PutBytes(t.Context(), d.Hex(), data); err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// release publishes what is kept; the last is current.
func (r *room) release(t *testing.T, kept ...packed) {
	t.Helper()
	all := &imagepackerv1.Releases{OsimageId: osimage}
	for _, p := range kept {
		all.Releases = append(all.Releases, p.Release)
		all.Current = p.Manifest
	}
	r.publish(t, subject.Release(osimage), all)
}

// service is a seeder that runs.
type service struct {
	run.Task
	metrics *prometheus.Registry
	stop    func()
}

func (r *room) start(t *testing.T, change ...func(*torrentseeder.Config)) *service {
	t.Helper()
	cfg := torrentseeder.Default()
	cfg.Listen, cfg.PeerPort = netip.MustParseAddr("127.0.0.1"), 0
	for _, c := range change {
		c(&cfg)
	}
	d := r.deps(t)
	task, err := torrentseeder.New(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- task.Run(ctx) }()
	s := &service{Task: task, metrics: d.Metrics.(*prometheus.Registry), stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("service: %v", err)
		}
	})}
	t.Cleanup(s.stop)
	return s
}

func logger() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}

// get returns status and body of an answer; status 0 while nobody listens.
func (r *room) get(t *testing.T, path string, headers ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body.Bytes()
}

func (r *room) url(path string) string {
	return "http://" + netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.port).String() + path
}

func torrentPath(p packed) string {
	return "/torrents/" + strings.TrimPrefix(p.Torrent, "sha256:") + ".torrent"
}

// served waits until a torrent is served, and returns it.
func (r *room) served(t *testing.T, p packed) []byte {
	t.Helper()
	var body []byte
	eventually(t, "torrent served", func() (ok bool) {
		var status int
		status, body = r.get(t, torrentPath(p))
		return status == http.StatusOK
	})
	return body
}

// gone waits until a torrent is no longer served.
func (r *room) gone(t *testing.T, p packed) {
	t.Helper()
	eventually(t, "torrent gone", func() bool {
		status, _ := r.get(t, torrentPath(p))
		return status == http.StatusNotFound
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it did not come to be: %s", what)
}

func (r *room) deps(t *testing.T) run.Deps {
	t.Helper()
	return run.Deps{Log: logger(), Metrics: prometheus.NewRegistry(), Bus: r.srv.Connect(t, "torrent-seeder"), Data: r.data, Head: "head"}
}
