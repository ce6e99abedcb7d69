package exchange

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// exchanging counts the nodes that a torrent exchanges pieces with, those whose connection stands idle, and of these the
// ones that it spares itself.
func (t *Torrent) exchanging() (busy, idle, spared int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		switch {
		case p.kind != Node:
		case p.idle():
			idle++
			if p.spare {
				spared++
			}
		default:
			busy++
		}
	}
	return busy, idle, spared
}

// add takes pieces in.
func (m *marks) add(pieces ...int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range pieces {
		m.have.add(i)
	}
}

// heard counts the nodes that said to a torrent that they have a piece.
func (t *Torrent) heard(piece int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.holders[piece])
}

// Of a swarm that grows the first nodes are named to all others. Once a tracker names others to them they exchange pieces
// with as many as the last ones do, and take some of the rest back when neighbours leave.
func TestFirstNodesSpareWhoIsNamedNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := swarmed{nodes: 60, mbit: 100, length: BlockSize, pieces: 10}
		c := newCloud(float64(s.mbit)*1e6/8, unsentBytes(int64(s.length)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		all, own := c.startAll(ctx, t, &running, s)
		a := acquainted(s.nodes, 1)
		for i, list := range a.first {
			all[1+i].AddPeers("a", list)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * lagging)
		most := 0
		for _, tor := range all[1:] {
			busy, idle, _ := tor.exchanging()
			if most = max(most, busy); idle > 0 {
				t.Fatal("a node is spared before a tracker has named others")
			}
		}
		if most < 40 {
			t.Fatalf("the first nodes have at most %d neighbours: nobody needs to be spared", most)
		}
		for i, list := range a.then {
			all[1+i].AddPeers("a", list)
		}
		time.Sleep(time.Second)
		for i, tor := range all[1:] {
			busy, idle, _ := tor.exchanging()
			// Whom it is named it keeps, but the head; others it has spared, or they have. Some may have been taken back by who
			// had few for a moment.
			if named := len(a.then[i]) - 1; busy < named || busy > max(named, enough)+5 {
				t.Errorf("node %d exchanges pieces with %d nodes, not %d or a few more; with %d not", i, busy, max(named, enough), idle)
			}
		}

		// Who is spared does not hear of pieces.
		first := all[1]
		busy, idle, _ := first.exchanging()
		own[1].add(3, 4)
		first.Have(3)
		time.Sleep(time.Second)
		told := 0
		for _, tor := range all[2:] {
			told += tor.heard(3)
		}
		if told != busy || idle < 15 {
			t.Errorf("%d nodes hear of a piece, not %d; %d are spared", told, busy, idle)
		}

		// Others take the place of those who leave, and hear what they missed with the next news.
		for _, at := range a.then[0] {
			if i := int(at.Addr().As4()[3]); i > 0 {
				all[i].Drop()
				all[i] = nil
			}
		}
		time.Sleep(10 * time.Second)
		left, _, spared := first.exchanging()
		first.Have(4)
		time.Sleep(time.Second)
		missed := 0
		for _, tor := range all[2:] {
			if tor != nil {
				missed += tor.heard(3)
			}
		}
		if missed < left || left < few && spared > 0 {
			t.Errorf("when its neighbours have left, it exchanges pieces with %d and spares %d; %d have heard of the piece", left, spared, missed)
		}
		cancel()
		running.Wait()
		c.running.Wait()
	})
}

func addressSet(i int) map[netip.Addr]bool { return map[netip.Addr]bool{addr(i).Addr(): true} }

// An address that a tracker names no more is dialled no more once its connection has ended.
func TestWhoIsNamedNoMoreIsNotDialledAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	tor := &Torrent{host: &Host{}, addresses: newAddresses(), answers: map[string]answer{}}
	tor.AddPeers("a", []netip.AddrPort{addr(1), addr(2), addr(3)})
	tor.AddPeers("b", []netip.AddrPort{addr(2)})
	tor.AddPeers("a", []netip.AddrPort{addr(3)})
	if n := len(tor.addresses.due(now.Add(time.Hour*1e6), 9)); n != 3 {
		t.Fatalf("%d addresses are dialled, not 3", n)
	}
	for i := 1; i <= 3; i++ {
		tor.ended(addr(i), time.Minute, now)
	}
	again := tor.addresses.due(now.Add(time.Minute), 9)
	slices.SortFunc(again, netip.AddrPort.Compare)
	if !slices.Equal(again, []netip.AddrPort{addr(2), addr(3)}) {
		t.Errorf("%v are dialled again, not those that a tracker names", again)
	}
}

// A peer that came after a tracker's answer was made is not spared for not being in it; who is named by any tracker neither.
func TestWhoCouldNotBeNamedIsKept(t *testing.T) {
	begin := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		since time.Duration
		by    []answer
		want  bool
	}{
		"named":                      {0, []answer{{begin.Add(time.Minute), addressSet(1)}}, true},
		"not named":                  {0, []answer{{begin.Add(time.Minute), addressSet(2)}}, false},
		"came with the answer":       {58 * time.Second, []answer{{begin.Add(time.Minute), addressSet(2)}}, true},
		"named by one of two":        {0, []answer{{begin.Add(time.Minute), addressSet(2)}, {begin.Add(time.Minute), addressSet(1)}}, true},
		"came after one of two":      {30 * time.Second, []answer{{begin.Add(time.Minute), addressSet(2)}, {begin, addressSet(2)}}, true},
		"named by neither of both":   {0, []answer{{begin.Add(time.Minute), addressSet(2)}, {begin.Add(time.Minute), addressSet(3)}}, false},
		"no tracker has said a word": {0, nil, false},
	} {
		tor := &Torrent{answers: map[string]answer{}}
		for i, a := range c.by {
			tor.answers[string(rune('a'+i))] = a
		}
		if got := tor.names(&peer{addr: addr(1).Addr(), since: begin.Add(c.since)}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
