package torrentseeder_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/torrent/metainfo"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/pkg/testenv"
	torrentseeder "github.com/luna-hpc/luna/services/torrent-seeder"
)

func TestServesKeptReleases(t *testing.T) {
	r := newRoom(t)
	first, second := r.pack(t, 1), r.pack(t, 2)
	s := r.start(t)
	r.release(t, first, second)
	for _, p := range []packed{first, second} {
		mi, err := metainfo.Load(bytes.NewReader(r.served(t, p)))
		if err != nil {
			t.Fatal(err)
		}
		if mi.Announce != r.url("/announce") || mi.HashInfoBytes().HexString() != p.InfoHash {
			t.Errorf("announces to %q, info hash %s, should be %s", mi.Announce, mi.HashInfoBytes(), p.InfoHash)
		}
	}
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	r.segmentsServed(t, first, second)

	r.release(t, second)
	r.gone(t, first)
	r.segmentsServed(t, second)
	if status, _ := r.get(t, "/payload/"+first.manifest.Segments[0].Digest.Hex()); status != http.StatusNotFound {
		t.Errorf("a segment of no kept release: %d", status)
	}
	if left := filesLeft(t, r); len(left) != 2 {
		t.Errorf("files kept: %q", left)
	}
}

// segmentsServed compares every segment, whole and in part, with what was packed.
func (r *room) segmentsServed(t *testing.T, kept ...packed) {
	t.Helper()
	for _, p := range kept {
		for _, seg := range p.manifest.Segments {
			path := "/payload/" + seg.Digest.Hex()
			var body []byte
			eventually(t, "segment served", func() (ok bool) {
				var status int
				status, body = r.get(t, path)
				return status == http.StatusOK
			})
			if release.DigestOf(body) != seg.Digest {
				t.Errorf("segment %s has digest %s", seg.Digest, release.DigestOf(body))
			}
			status, part := r.get(t, path, "Range: bytes=16384-32767")
			if status != http.StatusPartialContent || !bytes.Equal(part, body[16384:32768]) {
				t.Errorf("a piece of it: status %d, %d bytes", status, len(part))
			}
		}
	}
}

func filesLeft(t *testing.T, r *room) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.data, "torrent-seeder", "files"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestNodesBootFromIt(t *testing.T) {
	r := newRoom(t)
	p := r.pack(t, 3)
	s := r.start(t)
	r.release(t, p)
	torrent := r.served(t, p)
	for i := range 2 {
		dir := t.TempDir()
		d, err := swarm.NewDownloader(swarm.DownloadConfig{Dir: dir, Torrent: torrent, HTTPBases: []string{r.url("/payload/")},
			Local: netip.MustParseAddr(fmt.Sprintf("127.0.0.%d", i+2)), HeadAddrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
			Stall: time.Hour, Log: logger()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		select {
		case <-d.Done():
		case <-time.After(patience):
			t.Fatalf("not complete: %+v", d.Stats())
		}
		r.shows(t, p, fmt.Sprintf("127.0.0.%d", i+2))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, p.manifest.Segments[0].Digest.Hex())); err != nil {
			t.Error(err)
		}
	}
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sent float64
	for _, f := range families {
		if f.GetName() == "luna_torrent_seeder_sent_bytes_total" {
			sent = f.Metric[0].GetCounter().GetValue()
		}
	}
	if want := 2 * float64(p.manifest.Size()); sent != want {
		t.Errorf("sent %v bytes, should be %v", sent, want)
	}
}

func TestSeedsAfterRestartWithoutBus(t *testing.T) {
	r := newRoom(t)
	p := r.pack(t, 4)
	s := r.start(t)
	r.release(t, p)
	r.served(t, p)
	s.stop()
	r.srv.Stop()
	s = r.start(t)
	r.served(t, p)
	r.segmentsServed(t, p)
	eventually(t, "ready", func() bool { return s.Ready() == nil })
}

func TestFollowsServerPort(t *testing.T) {
	r := newRoom(t)
	p := r.pack(t, 5)
	r.start(t)
	r.release(t, p)
	r.served(t, p)
	r.port = uint16(testenv.FreePorts(t, 1)[0])
	r.cluster(t, r.port)
	eventually(t, "the new port announced", func() bool { return bytes.Contains(r.served(t, p), []byte(r.url("/announce"))) })
}

func TestTakenPortIsNamed(t *testing.T) {
	r := newRoom(t)
	ln, err := net.Listen("tcp", r.url("")[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := r.start(t)
	eventually(t, "the port's holder named", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid()))
	})
}

func TestDamageIsTold(t *testing.T) {
	r := newRoom(t)
	p := r.pack(t, 6)
	seg := p.manifest.Segments[0].Digest.Hex()
	path := filepath.Join(r.data, "payload", seg)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[20000] ^= 1
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	s := r.start(t)
	r.release(t, p)
	eventually(t, "damage told", func() bool {
		status, body := r.get(t, "/payload/"+seg)
		return status == http.StatusInternalServerError && strings.Contains(string(body), "damaged")
	})
	if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "bytes are offered") {
		t.Errorf("ready: %v", err)
	}
}

func TestTorrentThatIsNotTheManifestsIsRefused(t *testing.T) {
	r := newRoom(t)
	good, bad := r.pack(t, 7), r.pack(t, 8)
	bad.Torrent = good.Torrent
	s := r.start(t)
	r.release(t, bad)
	eventually(t, "the mismatch named", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), bad.Manifest) && strings.Contains(err.Error(), "other segments")
	})
	if status, _ := r.get(t, torrentPath(bad)); status != http.StatusNotFound {
		t.Errorf("it is served: %d", status)
	}
}

func TestFilesThatComeLate(t *testing.T) {
	r := newRoom(t)
	p := r.pack(t, 9)
	store, err := r.conn.JS.ObjectStore(t.Context(), subject.Files)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(p.Torrent, "sha256:")
	data, err := store.GetBytes(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutBytes(t.Context(), name, []byte("something else")); err != nil {
		t.Fatal(err)
	}
	s := r.start(t)
	r.release(t, p)
	eventually(t, "the wrong digest named", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "its digest is sha256:")
	})
	if _, err := store.PutBytes(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
	r.served(t, p)
}

func TestWhatIsNotThere(t *testing.T) {
	r := newRoom(t)
	r.start(t)
	none := strings.Repeat("0", 64)
	eventually(t, "served", func() bool { status, _ := r.get(t, "/"); return status == http.StatusNotFound })
	for _, path := range []string{"/torrents/" + none + ".torrent", "/torrents/" + none, "/torrents/x.torrent", "/payload/x",
		"/payload/..%2f..%2fetc%2fpasswd", "/payload/" + none + ".part"} {
		eventually(t, path, func() bool { status, _ := r.get(t, path); return status == http.StatusNotFound })
	}
	status, body := r.get(t, "/announce?info_hash=01234567890123456789&peer_id=01234567890123456789&port=1")
	if status != http.StatusOK || !strings.HasPrefix(string(body), "d14:failure reason") {
		t.Errorf("announce of an unknown torrent: %d %q", status, body)
	}
}

func TestUploadThatServesNobodyIsRefused(t *testing.T) {
	r := newRoom(t)
	cfg := torrentseeder.Default()
	cfg.Upload = 500
	if _, err := torrentseeder.New(cfg, r.deps(t)); err == nil || !strings.Contains(err.Error(), "upload is 500 bytes a second, needs to be 1048576 or more") {
		t.Errorf("%v", err)
	}
}

func TestClientsAreBounded(t *testing.T) {
	cfg := torrentseeder.Default()
	cfg.Clients = 0
	r := newRoom(t)
	if _, err := torrentseeder.New(cfg, r.deps(t)); err == nil {
		t.Error("no clients at all were accepted")
	}
}
