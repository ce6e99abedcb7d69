package swarm_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

func windowOf(pieces int64) func(*swarm.DownloadConfig) {
	return func(c *swarm.DownloadConfig) { c.Window = pieces * pieceLength }
}

// drops uses a node's segments one after the other and drops each, and returns the most bytes that were there at a time.
func (n *node) drops(t *testing.T, p payload) (most int64) {
	t.Helper()
	for used := 0; used < len(p.segments); used++ {
		eventually(t, func() bool { n.mu.Lock(); defer n.mu.Unlock(); return len(n.done) > used })
		n.mu.Lock()
		hex := n.done[used]
		n.mu.Unlock()
		most = max(most, n.bytes(t))
		if err := n.Drop(hex); err != nil {
			t.Fatal(err)
		}
		if err := n.Drop(hex); err != nil {
			t.Errorf("dropped twice: %v", err)
		}
		if _, err := os.Stat(filepath.Join(n.dir, hex)); !os.IsNotExist(err) {
			t.Errorf("segment %d is still there: %v", used, err)
		}
	}
	return most
}

// bytes returns what a node's files take.
func (n *node) bytes(t *testing.T) (sum int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(n.dir, "*"))
	must(t, err)
	for _, name := range names {
		info, err := os.Stat(name)
		if os.IsNotExist(err) {
			continue // it has its own name now, and counts the next time
		}
		must(t, err)
		sum += info.Size()
	}
	return sum
}

// TestNodeThatKeepsAPart: it gets everything and never has more than its window; others are told of nothing that it
// has, and it is no node to the head, which offers such a piece to another.
func TestNodeThatKeepsAPart(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 61, 20, 30, 10, 40, 20, 30)
	h := newHead(t, dir, p)
	h.offers(t, p, p.size)
	small := h.boot(t, "127.0.0.2", p, windowOf(60))
	whole := h.boot(t, "127.0.0.3", p)
	if most := small.drops(t, p); most > 60*pieceLength {
		t.Errorf("%d bytes were there at a time, want at most %d", most, 60*pieceLength)
	}
	if st := small.complete(t); st.Completed != p.size || st.FromHead+st.FromPeers < p.size {
		t.Errorf("it is done with %+v", st)
	}
	st := whole.complete(t)
	p.arrived(t, whole.dir)
	if st.FromPeers != 0 {
		t.Errorf("the other got %d bytes of the node that keeps nothing", st.FromPeers)
	}
	if sent := small.Stats().Sent; sent != 0 {
		t.Errorf("it has sent %d bytes", sent)
	}
	if err := whole.Drop(p.segments[0]); err == nil {
		t.Error("a segment that others were told of was dropped")
	}
	must(t, whole.stop())
	late := h.boot(t, "127.0.0.4", p)
	if st := late.complete(t); st.FromPeers != 0 {
		t.Errorf("a third got %d bytes of peers", st.FromPeers)
	}
	p.arrived(t, late.dir)
}

// TestWindowOverHTTP: what is not asked for yet does not come over HTTP either.
func TestWindowOverHTTP(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 62, 20, 30, 10, 40)
	h := newHead(t, dir, p)
	h.SetHead(swarm.Head{Port: closedPort(t)})
	n := h.boot(t, "127.0.0.2", p, windowOf(50), useStall(50*time.Millisecond))
	if most := n.drops(t, p); most > 50*pieceLength {
		t.Errorf("%d bytes were there at a time", most)
	}
	n.complete(t)
}

// TestFullWindowIsNoStall: a node that uses what it has for longer than Stall asks the swarm again, not the heads' HTTP.
func TestFullWindowIsNoStall(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 63, 20, 20, 20, 20, 20, 20)
	h := newHead(t, dir, p)
	h.offers(t, p, p.size)
	const stall = 4 * time.Second
	n := h.boot(t, "127.0.0.2", p, windowOf(40), useStall(stall))
	eventually(t, func() bool { n.mu.Lock(); defer n.mu.Unlock(); return len(n.done) == 2 })
	full := time.Now()
	eventually(t, func() bool { return time.Since(full) > stall+time.Second })
	n.drops(t, p)
	n.complete(t)
	if h.served != 0 {
		t.Errorf("%d requests over HTTP in a healthy swarm", h.served)
	}
}
