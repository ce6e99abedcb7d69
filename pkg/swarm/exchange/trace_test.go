package exchange

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"
)

var traced = flag.Bool("simtrace", false, "print where the links of simulated swarms stand idle, and how pieces spread")

// usage is what a link carried.
type usage struct{ up, down seconds }

// seconds are bytes by the second of the simulation's time.
type seconds []int

// epoch is when the time of testing/synctest begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *seconds) add(bytes int) {
	at := int(time.Since(epoch) / time.Second)
	for len(*s) <= at {
		*s = append(*s, 0)
	}
	(*s)[at] += bytes
}

// between returns the bytes of some seconds, all when to is negative.
func (s seconds) between(from, to int) (n int) {
	if to < 0 || to > len(s) {
		to = len(s)
	}
	for i := from; i < to; i++ {
		n += s[i]
	}
	return n
}

// trace prints how busy the links were from the start to the tail, and how long pieces took to spread.
func (s swarmed) trace(t *testing.T, c *cloud, all []*marks, begin time.Time) {
	total := int(time.Since(begin)/time.Second) + 1
	edges := []int{0, 1, 2, 3, 4}
	for k := 1; k <= 10; k++ {
		if at := total * k / 10; at > edges[len(edges)-1] {
			edges = append(edges, at)
		}
	}
	for i, to := range edges[1:] {
		from := edges[i]
		up, down := s.shares(c, from, to, c.rate*float64(to-from))
		head := float64(c.ports[addrOf(0)].use.up.between(from, to)) / c.rate / float64(to-from)
		t.Logf("%3d to %3d s: head %.2f, nodes up %s, down %s", from, to, head, spread(up), spread(down))
	}
	up, down := s.shares(c, 0, -1, float64(s.size()))
	t.Logf("bytes over the size: nodes up %s, down %s", spread(up), spread(down))
	s.traceCopies(t, all, begin)
}

// shares returns what the links of nodes carried between two seconds, over what one could.
func (s swarmed) shares(c *cloud, from, to int, full float64) (up, down []float64) {
	for i := range s.nodes {
		use := &c.ports[addrOf(i+1)].use
		up = append(up, float64(use.up.between(from, to))/full)
		down = append(down, float64(use.down.between(from, to))/full)
	}
	return up, down
}

// traceCopies prints how long pieces took from the first copy to others.
func (s swarmed) traceCopies(t *testing.T, all []*marks, begin time.Time) {
	waits := map[int][]float64{}
	var newest time.Duration
	for piece := range s.pieces {
		var came []time.Duration
		for _, m := range all {
			came = append(came, m.when[piece].Sub(begin))
		}
		slices.Sort(came)
		newest = max(newest, came[0])
		for n := 2; n <= len(came); n *= 2 {
			waits[n] = append(waits[n], (came[n-1] - came[0]).Seconds())
		}
	}
	t.Logf("the last piece came to a node at %.3f", newest.Seconds()/s.bound().Seconds())
	for n := 2; n <= len(all); n *= 2 {
		t.Logf("seconds from the first to %d copies: %s", n, spread(waits[n]))
	}
}

// spread prints the mean, and the least, the middle and the most.
func spread(v []float64) string {
	slices.Sort(v)
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return fmt.Sprintf("%.3f (%.3f, %.3f, %.3f)", sum/float64(len(v)), v[0], v[len(v)/2], v[len(v)-1])
}
