package exchange

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var seeds = flag.Int("simseeds", 1, "graphs that each swarm of -simulate is simulated with")

// swarmed is a swarm that is to be simulated.
type swarmed struct {
	nodes, mbit, length, pieces int
	most                        float64 // time of the last node over the bound
	slow                        int     // Mbit/s of one node that is not counted; 0 is none
}

// headMost is how many bytes a head may send, over the size.
const headMost = 1.1

func (s swarmed) size() int { return s.length * s.pieces }

// bound is the time that the payload takes on a link.
func (s swarmed) bound() time.Duration {
	return time.Duration(float64(s.size()) * 8 / (float64(s.mbit) * 1e6) * float64(time.Second))
}

// marks are the pieces of a simulated host: they are there, or not.
type marks struct {
	mu   sync.Mutex
	have set
	left int
	when map[int]time.Time // a piece came, for the first time
	done chan time.Time    // when nothing is left
}

func (m *marks) ReadAt(_ int, b []byte, _ int64) (int, error) { return len(b), nil }

func (m *marks) Put(piece int, _ []byte, _ Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.have.has(piece) {
		return nil
	}
	m.have.add(piece)
	m.when[piece] = time.Now()
	if m.left--; m.left == 0 {
		m.done <- time.Now()
	}
	return nil
}

func (m *marks) Has(piece int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.have.has(piece)
}

// result of a simulated swarm: times over the bound, bytes over the size.
type result struct{ first, median, last, head float64 }

// simulate lets a head and nodes exchange a payload in a time of their own.
func (s swarmed) simulate(t *testing.T, seed uint64) (r result) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(float64(s.mbit)*1e6/8, unsentBytes(int64(s.length)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		all, own := c.startAll(ctx, t, &running, s)
		for i := range s.pieces {
			own[0].have.add(i)
			all[0].Have(i)
		}
		nodes, marks := all[1:], own[1:]
		if s.slow > 0 {
			c.ports[addrOf(1)].rate = float64(s.slow) * 1e6 / 8 // nothing is sent yet
		}
		begin := time.Now()
		a := acquainted(s.nodes, seed)
		for i, list := range a.first {
			nodes[i].Crowd(s.nodes)
			nodes[i].Want(0, s.pieces, true)
			nodes[i].AddPeers("", list)
			// The answers say when to ask again, by how many there were.
			again := time.AfterFunc(10*time.Second*time.Duration(min(max(i, 12), 72))/12, func() { nodes[i].AddPeers("", a.then[i]) })
			defer again.Stop()
		}
		var took []float64
		for i, m := range marks {
			if s.slow > 0 && i == 0 {
				continue
			}
			took = append(took, float64((<-m.done).Sub(begin))/float64(s.bound()))
		}
		slices.Sort(took)
		if *traced {
			s.trace(t, c, marks, begin)
		}
		p := c.ports[addrOf(0)]
		p.mu.Lock()
		r = result{took[0], took[len(took)/2], took[len(took)-1], float64(p.sent) / float64(s.size())}
		p.mu.Unlock()
		cancel()
		running.Wait()
		c.running.Wait()
	})
	return r
}

// start runs a host of a simulated swarm that has nothing.
func (c *cloud) start(ctx context.Context, t *testing.T, running *sync.WaitGroup, s swarmed, i int, k Kind) (*Torrent, *marks) {
	t.Helper()
	m := &marks{have: newSet(s.pieces), when: map[int]time.Time{}, left: s.pieces, done: make(chan time.Time, 1)}
	h, err := Listen(Config{Kind: k, Listen: netip.AddrPortFrom(addrOf(i), simulated), Log: slog.New(slog.DiscardHandler), wires: cable{c}})
	if err != nil {
		t.Fatal(err)
	}
	peers := 60
	if k == Head {
		peers = 2000
	}
	tor, err := h.Add(TorrentConfig{Hash: hash, Count: s.pieces, PieceLength: int64(s.length), Pieces: m, Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { _ = h.Run(ctx) })
	return tor, m
}

// startAll runs the head and the nodes of a simulated swarm, the head first.
func (c *cloud) startAll(ctx context.Context, t *testing.T, running *sync.WaitGroup, s swarmed) (all []*Torrent, own []*marks) {
	t.Helper()
	for i := range 1 + s.nodes {
		kind := Node
		if i == 0 {
			kind = Head
		}
		tor, m := c.start(ctx, t, running, s, i, kind)
		all, own = append(all, tor), append(own, m)
	}
	return all, own
}

func addrOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }

// acquaintance is whom trackers name to each node.
type acquaintance struct {
	first, then [][]netip.AddrPort // when it comes, and when all have come
}

// acquainted names to each node, which come one after the other, the head, and as a tracker does everybody while they are
// few, else its neighbours on ten rings.
func acquainted(nodes int, seed uint64) (a acquaintance) {
	const everybody = 16
	chance := rand.New(rand.NewPCG(seed, 0))
	var rings [10][]int
	name := func(node, present int) (list []netip.AddrPort) {
		add := func(i int) {
			if at := netip.AddrPortFrom(addrOf(i), simulated); !slices.Contains(list, at) && i != node+1 {
				list = append(list, at)
			}
		}
		add(0)
		for i := range present {
			if present <= everybody {
				add(i + 1)
			}
		}
		for _, ring := range rings {
			if n := len(ring); present > everybody {
				at := slices.Index(ring, node)
				add(ring[(at+1)%n] + 1)
				add(ring[(at+n-1)%n] + 1)
			}
		}
		return list
	}
	for i := range nodes {
		for r, ring := range rings {
			rings[r] = slices.Insert(ring, chance.IntN(len(ring)+1), i)
		}
		a.first = append(a.first, name(i, i+1))
	}
	for i := range nodes {
		a.then = append(a.then, name(i, nodes))
	}
	return a
}

var simulation = flag.String("simulate", "", "simulate swarms of these numbers of nodes too, such as 8,24,72")

// A simulated swarm ends in time, and the head sends little. With -simulate it prints how swarms of other
// sizes do, with the payload and links that are measured in namespaces; with -simtrace where their time goes:
//
//	go test -timeout 2h -v ./pkg/swarm/exchange -run SimulatedSwarm -simulate 8,24,72 -simseeds 5
func TestSimulatedSwarm(t *testing.T) {
	wanted := numbers(t, *simulation)
	for _, s := range []swarmed{{1, 100, 64 << 10, 1536, 1.05, 0}, {8, 20, 64 << 10, 1536, 1.10, 0}, {24, 4, 32 << 10, 896, 1.15, 0},
		{72, 1, 16 << 10, 896, 1.20, 0}, {72, 3, 16 << 10, 1280, 1.20, 0}, {200, 3, 16 << 10, 1280, 1.25, 0}, {500, 3, 16 << 10, 1280, 1.30, 0}, {1000, 3, 16 << 10, 1280, 1.35, 0}} {
		if slices.Contains(wanted, s.nodes) {
			s.repeat(t)
		}
	}
	swarmed{nodes: 8, mbit: 20, length: 64 << 10, pieces: 200, most: 1.2}.judge(t, 1)
	swarmed{nodes: 24, mbit: 8, length: 64 << 10, pieces: 150, most: 1.5}.judge(t, 1)
	for seed := range uint64(5) {
		swarmed{nodes: 5, mbit: 40, length: 64 << 10, pieces: 200, most: 1.35, slow: 10}.judge(t, seed)
	}
}

// repeat simulates a swarm with some graphs.
func (s swarmed) repeat(t *testing.T) {
	var last, head []float64
	for seed := range *seeds {
		r := s.judge(t, uint64(seed+1))
		last, head = append(last, r.last), append(head, r.head)
	}
	t.Logf("%4d nodes, %d graphs: last %s, head sent %s", s.nodes, *seeds, spread(last), spread(head))
}

func (s swarmed) judge(t *testing.T, seed uint64) result {
	begin := time.Now()
	r := s.simulate(t, seed)
	t.Logf("%4d nodes at %d Mbit/s, %d pieces of %d KiB: first %.3f, median %.3f, last %.3f, head sent %.3f (in %s)",
		s.nodes, s.mbit, s.pieces, s.length>>10, r.first, r.median, r.last, r.head, time.Since(begin).Round(time.Second))
	if r.last < 1.04 || r.last > s.most || r.head < 1 || r.head > headMost {
		t.Errorf("of %d nodes: %+v, at most %.2f and %.2f", s.nodes, r, s.most, headMost)
	}
	return r
}

func numbers(t *testing.T, list string) (all []int) {
	for _, word := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' }) {
		var n int
		if _, err := fmt.Sscan(word, &n); err != nil {
			t.Fatalf("%q is no number", word)
		}
		all = append(all, n)
	}
	return all
}
