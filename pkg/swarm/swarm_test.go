package swarm_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

func TestNodesShare(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 1, 100, 150, 70)
	h := newHead(t, dir, p)
	h.offers(t, p, p.size)
	nodes := []*node{h.boot(t, "127.0.0.2", p), h.boot(t, "127.0.0.3", p), h.boot(t, "127.0.0.4", p)}
	var fromPeers, fromHead int64
	for _, n := range nodes {
		st := n.complete(t)
		p.arrived(t, n.dir)
		if st.Completed != p.size || st.Total != p.size {
			t.Errorf("completed %d of %d, should be %d", st.Completed, st.Total, p.size)
		}
		n.mu.Lock()
		if got := slices.Sorted(slices.Values(n.done)); !slices.Equal(got, slices.Sorted(slices.Values(p.segments))) {
			t.Errorf("segments reported: %q", got)
		}
		n.mu.Unlock()
		fromPeers += st.FromPeers
		fromHead += st.FromHead
	}
	t.Logf("payload %d, from head %d, from peers %d", p.size, fromHead, fromPeers)
	if fromPeers == 0 {
		t.Error("the nodes gave each other nothing")
	}
	if fromHead+fromPeers < 3*p.size {
		t.Errorf("%d bytes cannot have made 3 × %d", fromHead+fromPeers, p.size)
	}
	if h.served != 0 {
		t.Errorf("%d requests over HTTP in a healthy swarm", h.served)
	}
}

func TestNodeSeedsOnWithoutHead(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 2, 40, 24)
	h := newHead(t, dir, p)
	first := h.boot(t, "127.0.0.2", p)
	first.complete(t)
	h.stop()
	st := h.boot(t, "127.0.0.3", p).complete(t)
	if st.FromPeers != p.size || st.FromHead != 0 {
		t.Errorf("from peers %d, from head %d; the payload has %d", st.FromPeers, st.FromHead, p.size)
	}
}

func TestFallsBackToHTTP(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 3, 30, 20)
	h := newHead(t, dir, p)
	h.SetHead(swarm.Head{Port: closedPort(t)})
	n := h.boot(t, "127.0.0.2", p, useStall(50*time.Millisecond))
	st := n.complete(t)
	p.arrived(t, n.dir)
	if st.FromHead != p.size || st.FromPeers != 0 {
		t.Errorf("from head %d, from peers %d; the payload has %d", st.FromHead, st.FromPeers, p.size)
	}
	// What came over HTTP is passed on over BitTorrent.
	st = h.boot(t, "127.0.0.3", p).complete(t)
	if st.FromPeers != p.size {
		t.Errorf("a second node got %d of %d bytes from the first", st.FromPeers, p.size)
	}
}

func TestReturnsFromHTTPToSwarm(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 4, 60)
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(filepath.Join(dir, p.segments[0]), away); err != nil {
		t.Fatal(err)
	}
	h := newHead(t, dir, p)
	n := h.boot(t, "127.0.0.2", p, useStall(50*time.Millisecond))
	// Neither the swarm nor HTTP has anything yet; the node says so and goes on trying.
	eventually(t, func() bool { return n.Stats().LastError != "" })
	mustContain(t, n.Stats().LastError, "/payload/"+p.segments[0], "404")
	if err := os.Rename(away, filepath.Join(dir, p.segments[0])); err != nil {
		t.Fatal(err)
	}
	n.complete(t)
	p.arrived(t, n.dir)
}

func TestDamagedSegmentIsNotOffered(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 5, 8, 8)
	good := read(t, filepath.Join(dir, p.segments[1]))
	p.spoil(t, 1, 3)
	h := newHead(t, dir, p)
	h.offers(t, p, p.size-pieceLength)
	eventually(t, func() bool { _, err := h.seeder.Open(p.segments[1]); return errors.Is(err, swarm.ErrDamaged) })

	// A node refuses it over HTTP too, by name, and takes it once it was mended.
	n := h.boot(t, "127.0.0.2", p, useStall(50*time.Millisecond))
	eventually(t, func() bool { return n.Stats().Completed == p.size-pieceLength && n.Stats().LastError != "" })
	mustContain(t, n.Stats().LastError, "wrong piece", "piece 11", p.segments[1], "SHA-1", "http://")
	select {
	case <-n.Done():
		t.Fatal("a damaged payload is complete")
	default:
	}
	if _, err := os.Stat(filepath.Join(n.dir, p.segments[1])); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the damaged segment has its name: %v", err)
	}
	write(t, filepath.Join(dir, "new"), good)
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, p.segments[1])); err != nil {
		t.Fatal(err)
	}
	h.offers(t, p, p.size)
	n.complete(t)
	p.arrived(t, n.dir)
}

func TestSeederFollowsItsDirectory(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 6, 4, 4)
	h := newHead(t, dir, p)
	h.offers(t, p, p.size)
	p.spoil(t, 0, 1) // another file now
	h.offers(t, p, p.size-pieceLength)
	if err := os.Remove(filepath.Join(dir, p.segments[0])); err != nil {
		t.Fatal(err)
	}
	h.offers(t, p, p.size-4*pieceLength)
	if _, err := h.seeder.Open(p.segments[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open a segment that went: %v", err)
	}
	if _, err := h.seeder.Open("0123"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open what is no segment: %v", err)
	}
	f, err := h.seeder.Open(p.segments[1])
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestSetIsIdempotent(t *testing.T) {
	dir := t.TempDir()
	a, b := newPayload(t, dir, 7, 10), newPayload(t, dir, 8, 10)
	h := newHead(t, dir, a)
	h.offers(t, a, a.size)
	n := h.boot(t, "127.0.0.2", a)
	n.complete(t)
	sent := h.seeder.Torrents()[0].Sent
	if sent != a.size {
		t.Errorf("sent %d of %d", sent, a.size)
	}
	h.has(t, a)
	h.has(t, a, b)
	h.offers(t, b, b.size)
	for _, s := range h.seeder.Torrents() {
		if s.InfoHash == a.hash && (s.Sent != sent || s.Offered != a.size) {
			t.Errorf("an undisturbed torrent became %+v", s)
		}
	}
	h.has(t, b)
	if got := h.seeder.Torrents(); len(got) != 1 || got[0].InfoHash != b.hash {
		t.Errorf("torrents %+v", got)
	}
	h.has(t, a, b)
	h.offers(t, a, a.size)
	st := h.boot(t, "127.0.0.3", a).complete(t)
	if st.Completed != a.size {
		t.Errorf("a torrent that came back gave %d bytes", st.Completed)
	}
}

func TestSetRefusesOtherTorrents(t *testing.T) {
	dir := t.TempDir()
	a, b := newPayload(t, dir, 9, 2), newPayload(t, dir, 10, 2)
	h := newHead(t, dir)
	err := h.seeder.Set(map[swarm.InfoHash]swarm.Wanted{
		a.hash: {Torrent: b.torrent},
		b.hash: {Torrent: b.torrent},
	})
	if err == nil {
		t.Fatal("a torrent under another's hash was taken")
	}
	mustContain(t, err.Error(), a.hash.String(), b.hash.String())
	h.offers(t, b, b.size)
}

func TestRestartOfSeeder(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 11, 300)
	h := newHead(t, dir, p)
	n := h.boot(t, "127.0.0.2", p)
	eventually(t, func() bool { return n.Stats().Completed > 0 })
	h.stop()
	h.startSeeder(t, dir, p)
	n.complete(t)
	p.arrived(t, n.dir)
}

func TestNodeTakesUpWhatItHas(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 12, 10, 10, 10)
	h := newHead(t, dir, p)
	into := t.TempDir()
	write(t, filepath.Join(into, p.segments[0]), read(t, filepath.Join(dir, p.segments[0])))
	half := bytes.Repeat([]byte{0}, 12*pieceLength) // longer than it should be
	copy(half, read(t, filepath.Join(dir, p.segments[1]))[:5*pieceLength])
	write(t, filepath.Join(into, p.segments[1]+".part"), half)
	n := h.boot(t, "127.0.0.2", p, func(c *swarm.DownloadConfig) { c.Dir = into })
	st := n.complete(t)
	p.arrived(t, into)
	if want := int64(15 * pieceLength); st.FromHead != want {
		t.Errorf("fetched %d bytes, should be %d", st.FromHead, want)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.done) != 3 {
		t.Errorf("reported %q", n.done)
	}
}

func TestNodeTellsTrackerItLeaves(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 13, 4)
	h := newHead(t, dir, p)
	n := h.boot(t, "127.0.0.2", p)
	n.complete(t)
	eventually(t, func() bool { return h.Swarms()[0].Complete == 1 && h.Swarms()[0].Downloaded == 1 })
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if s := h.Swarms()[0]; s.Complete != 0 || s.Incomplete != 0 {
		t.Errorf("the tracker still knows %+v", s)
	}
}

func TestOtherHeadFetches(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 14, 20, 20)
	h := newHead(t, dir, p)
	other := t.TempDir()
	write(t, filepath.Join(other, p.segments[0]), read(t, filepath.Join(dir, p.segments[0])))
	o := second(t, other, h, p)
	eventually(t, func() bool { return o.Torrents()[0].Offered == p.size })
	eventually(t, func() bool { _, err := os.Stat(filepath.Join(other, p.segments[1])); return err == nil })
	p.arrived(t, other)
}
