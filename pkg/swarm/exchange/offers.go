package exchange

import (
	"math/rand/v2"
	"time"
)

const (
	// offerWidth is how many offers are open at a time; late ones do not count.
	offerWidth = 12
	// offersPerNode is how many may be open to one node, late ones too.
	offersPerNode = 2 * offerWidth
	// An offer is late after lateTimes the mean, and lateLeast; after lateFirst while no mean is known.
	lateTimes = 4
	lateLeast = time.Second
	lateFirst = 4 * time.Second
	// Once all is offered the head's link stands idle, and what a slow node has not got keeps all others waiting:
	// then an offer is late after the mean, and lateAtEnd.
	lateAtEnd = 200 * time.Millisecond
	// A node that takes slowTimes as long as others is not offered the last pieces.
	slowTimes = 2
	// A head sends a fiftieth of what it offers a second time.
	extraLeast, extraShare = 2, 50
	// stillTimes the mean, and stillLeast, is how long no node may get anything before nodes that
	// alone have pieces are doubted.
	stillTimes = 8
	stillLeast = 4 * time.Second
	// gathering is how long a head that was restarted waits for its nodes.
	gathering = 1500 * time.Millisecond
)

// offers decides which piece a head offers to which node: each to one, and only what no node has.
type offers[N comparable] struct {
	have    set      // what the head has
	holders []uint16 // nodes that have a piece and are believed
	free    set      // had, at no node, and not offered
	open    map[int]map[N]time.Time
	nodes   map[N]*taker
	mean    mean
	cursor  int
	made    int // offers of what no node had
	extra   int // others
	hold    time.Time
	news    time.Time // when a node last got something
	chance  *rand.Rand
}

// taker is a node as a head sees it.
type taker struct {
	has     set
	lacks   int
	open    map[int]time.Time // offers to it, and when they were made
	mean    mean              // time from an offer to having it
	doubted bool              // what it has, others do not get from it
}

func newOffers[N comparable](pieces int, chance *rand.Rand) *offers[N] {
	return &offers[N]{have: newSet(pieces), holders: make([]uint16, pieces), free: newSet(pieces),
		open: map[int]map[N]time.Time{}, nodes: map[N]*taker{}, cursor: chance.IntN(pieces), chance: chance}
}

// settle notes whether a piece is free now.
func (o *offers[N]) settle(piece int) {
	if o.have.has(piece) && o.holders[piece] == 0 && len(o.open[piece]) == 0 {
		o.free.add(piece)
	} else {
		o.free.remove(piece)
	}
}

// gain and lose tell that the head has a piece, or has it no more.
func (o *offers[N]) gain(piece int) { o.have.add(piece); o.settle(piece) }

func (o *offers[N]) lose(piece int) { o.have.remove(piece); o.settle(piece) }

// join takes in a node that has some pieces. The first node of a head that has offered nothing yet
// tells by having some that the head was away: then the others are waited for.
func (o *offers[N]) join(n N, has set, now time.Time) {
	t := &taker{has: newSet(len(o.holders)), lacks: len(o.holders), open: map[int]time.Time{}}
	o.nodes[n] = t
	o.news = now
	has.each(func(i int) { o.got(n, i, now) })
	if o.made == 0 && o.hold.IsZero() && !has.empty() {
		o.hold = now.Add(gathering)
	}
}

// leave takes out a node; what only it had, and what was offered to it, is free again.
func (o *offers[N]) leave(n N) {
	t := o.nodes[n]
	if t == nil {
		return
	}
	delete(o.nodes, n)
	for piece := range t.open {
		o.end(n, t, piece)
	}
	if !t.doubted {
		o.forget(t)
	}
}

// forget takes back what a node was believed to have.
func (o *offers[N]) forget(t *taker) {
	t.has.each(func(i int) {
		o.holders[i]--
		o.settle(i)
	})
}

func (o *offers[N]) end(n N, t *taker, piece int) {
	delete(t.open, piece)
	delete(o.open[piece], n)
	if len(o.open[piece]) == 0 {
		delete(o.open, piece)
	}
	o.settle(piece)
}

// got notes that a node has a piece.
func (o *offers[N]) got(n N, piece int, now time.Time) {
	t := o.nodes[n]
	if t == nil || t.has.has(piece) {
		return
	}
	t.has.add(piece)
	t.lacks--
	o.news = now
	if since, ok := o.open[piece][n]; ok {
		o.mean.add(now.Sub(since))
		t.mean.add(now.Sub(since))
	}
	if !t.doubted {
		o.holders[piece]++
	}
	o.end(n, t, piece)
}

// late tells whether an offer stops holding a slot.
func (o *offers[N]) late(since, now time.Time) bool {
	return o.lateBy(since, now, lateTimes, lateLeast)
}

// lateBy tells whether an offer is open for some times the mean, and least.
func (o *offers[N]) lateBy(since, now time.Time, times int, least time.Duration) bool {
	if o.mean == 0 {
		return now.Sub(since) >= lateFirst
	}
	return now.Sub(since) >= o.mean.times(times, least)
}

// room tells whether another offer may be open.
func (o *offers[N]) room(now time.Time) bool {
	if now.Before(o.hold) {
		return false
	}
	n := 0
	for _, to := range o.open {
		for _, since := range to {
			if !o.late(since, now) {
				n++
			}
		}
	}
	return n < offerWidth
}

// next returns a piece that no node has, and the node to offer it to; the offer then is open.
func (o *offers[N]) next(now time.Time) (n N, piece int, ok bool) {
	if o.free.empty() || !o.room(now) {
		return n, 0, false
	}
	// One after the other, so that segments become whole early; where another head was, elsewhere.
	piece = (o.cursor + 1) % len(o.holders)
	if !o.free.has(piece) {
		piece = o.free.from(o.chance.IntN(len(o.holders)))
	}
	if n, ok = o.taker(piece, now); !ok {
		return n, 0, false
	}
	o.cursor = piece
	o.made++
	o.make(n, piece, now)
	return n, piece, true
}

func (o *offers[N]) make(n N, piece int, now time.Time) {
	if o.open[piece] == nil {
		o.open[piece] = map[N]time.Time{}
	}
	o.open[piece][n] = now
	o.nodes[n].open[piece] = now
	o.settle(piece)
}

// taker returns the node with the fewest open offers that lacks a piece; one that is doubted, late
// or would be the last only when there is no other.
func (o *offers[N]) taker(piece int, now time.Time) (best N, ok bool) {
	fewest, same := 0, 0
	sum, timed := o.means()
	for n, t := range o.nodes {
		_, offered := t.open[piece]
		if t.has.has(piece) || offered || len(t.open) >= offersPerNode {
			continue
		}
		open := len(t.open)
		if t.doubted || o.anyLate(t, now) || o.last(t, sum, timed) {
			open += offersPerNode
		}
		if ok && open > fewest {
			continue
		}
		if !ok || open < fewest {
			same = 0
		}
		if same++; o.chance.IntN(same) == 0 {
			best = n
		}
		fewest, ok = open, true
	}
	return best, ok
}

// means returns the nodes' means together, and how many nodes have one.
func (o *offers[N]) means() (sum time.Duration, timed int) {
	for _, t := range o.nodes {
		if t.mean > 0 {
			sum += time.Duration(t.mean)
			timed++
		}
	}
	return sum, timed
}

// last tells whether a slow node would have a piece only when all others are at nodes: others take
// offerWidth of them in the time that they need for one. sum and timed are those of means.
func (o *offers[N]) last(t *taker, sum time.Duration, timed int) bool {
	if t.mean == 0 || timed < 2 {
		return false
	}
	others := (sum - time.Duration(t.mean)) / time.Duration(timed-1)
	if time.Duration(t.mean) < slowTimes*others {
		return false
	}
	left := others * time.Duration(o.free.count()) / offerWidth
	return left < slowTimes*time.Duration(t.mean)
}

func (o *offers[N]) anyLate(t *taker, now time.Time) bool {
	for _, since := range t.open {
		if o.late(since, now) {
			return true
		}
	}
	return false
}
