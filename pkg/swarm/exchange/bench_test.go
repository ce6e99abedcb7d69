package exchange

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// crate is the pieces of a host in memory, all in the same place.
type crate struct {
	marks
	data []byte
}

func (c *crate) ReadAt(_ int, b []byte, off int64) (int, error) { return copy(b, c.data[off:]), nil }

// BenchmarkExchange lets a head and four nodes exchange a payload over TCP, without a shaper, a disk or hashes, and prints
// the processor time per GB and node, the kernel's with it.
func BenchmarkExchange(b *testing.B) {
	for _, length := range []int{64 << 10, 512 << 10} {
		name := map[int]string{64 << 10: "64KiB", 512 << 10: "512KiB"}[length]
		b.Run(name, func(b *testing.B) { benchmarkExchange(b, 4, length, 128<<20/length) })
	}
}

func benchmarkExchange(b *testing.B, nodes, length, pieces int) {
	b.ReportAllocs()
	before := processor(b)
	for b.Loop() {
		exchangeOnce(b, nodes, length, pieces)
	}
	spent := processor(b) - before
	b.ReportMetric(spent.Seconds()/float64(b.N)/(float64(nodes*length*pieces)/1e9), "cpu-s/GB/node")
}

// exchangeOnce gives all nodes all pieces.
func exchangeOnce(b *testing.B, nodes, length, pieces int) {
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	start := func(k Kind) (*Torrent, *crate, netip.AddrPort) {
		c := &crate{marks{have: newSet(pieces), when: map[int]time.Time{}, left: pieces, done: make(chan time.Time, 1)}, make([]byte, length)}
		h, err := Listen(Config{Kind: k, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		running.Go(func() { _ = h.Run(ctx) })
		t, err := h.Add(TorrentConfig{Hash: hash, Count: pieces, PieceLength: int64(length), Pieces: c, Peers: 60})
		if err != nil {
			b.Fatal(err)
		}
		return t, c, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), h.Port())
	}
	head, all, at := start(Head)
	for i := range pieces {
		all.have.add(i)
		head.Have(i)
	}
	known := []netip.AddrPort{at}
	var crates []*crate
	for range nodes {
		t, c, at := start(Node)
		crates = append(crates, c)
		t.Want(0, pieces, true)
		t.AddPeers("", known)
		known = append(known, at)
	}
	for _, c := range crates {
		<-c.done
	}
}

// processor returns the processor time that the process has taken.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
