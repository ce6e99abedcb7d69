package swarm_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/luna-hpc/luna/pkg/swarm"
)

func joinTo(name string) func(*swarm.DownloadConfig) {
	return func(c *swarm.DownloadConfig) { c.Joined = name }
}

func keepIn(dir string) func(*swarm.DownloadConfig) {
	return func(c *swarm.DownloadConfig) { c.Dir = dir }
}

// whole returns the segments of a payload one behind the other.
func (p payload) whole(t *testing.T) []byte {
	var all []byte
	for _, name := range p.segments {
		all = append(all, read(t, filepath.Join(p.dir, name))...)
	}
	return all
}

// TestJoinedSegments: a node that has the segments in one file passes them on, takes up what an earlier life left of
// it, and fetches what was spoilt meanwhile.
func TestJoinedSegments(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 41, 100, 150, 70)
	h := newHead(t, dir, p)
	h.offers(t, p, p.size)
	first := h.boot(t, "127.0.0.2", p, joinTo("image"))
	first.complete(t)
	image := filepath.Join(first.dir, "image")
	if !bytes.Equal(read(t, image), p.whole(t)) {
		t.Fatal("the file is not the segments, one behind the other")
	}
	if names, _ := os.ReadDir(first.dir); len(names) != 1 {
		t.Errorf("%v lie beside it", names)
	}
	apart := h.boot(t, "127.0.0.3", p)
	if st := apart.complete(t); st.FromPeers == 0 {
		t.Error("the node with one file gave nothing")
	}
	p.arrived(t, apart.dir)

	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	spoilt := read(t, image)
	spoilt[(100+20)*pieceLength] ^= 1
	write(t, image, spoilt)
	again := h.boot(t, "127.0.0.4", p, joinTo("image"), keepIn(first.dir))
	if st := again.complete(t); st.FromHead+st.FromPeers != pieceLength {
		t.Errorf("%d bytes were fetched, want those of the spoilt piece", st.FromHead+st.FromPeers)
	}
	if !bytes.Equal(read(t, image), p.whole(t)) {
		t.Error("the file is not mended")
	}
}
