package exchange

import "time"

// another returns a piece to offer beyond once, out of the budget for that: one that is late, else
// one that a single node has when all others are at nodes.
func (o *offers[N]) another(now time.Time) (n N, piece int, ok bool) {
	if o.extra >= extraLeast+o.made/extraShare || !o.room(now) {
		return n, 0, false
	}
	times, least := lateTimes, lateLeast
	if o.free.empty() {
		times, least = 1, lateAtEnd
	}
	for piece, to := range o.open {
		if o.holders[piece] > 0 || !o.allLate(to, now, times, least) {
			continue
		}
		if n, ok = o.taker(piece, now); ok {
			return o.more(n, piece, now)
		}
	}
	if !o.free.empty() {
		return n, 0, false
	}
	start := o.chance.IntN(len(o.holders))
	for i := range o.holders {
		piece := (start + i) % len(o.holders)
		if o.holders[piece] != 1 || !o.have.has(piece) || len(o.open[piece]) > 0 {
			continue
		}
		if n, ok = o.taker(piece, now); ok {
			return o.more(n, piece, now)
		}
	}
	return n, 0, false
}

func (o *offers[N]) more(n N, piece int, now time.Time) (N, int, bool) {
	o.extra++
	o.make(n, piece, now)
	return n, piece, true
}

func (o *offers[N]) allLate(to map[N]time.Time, now time.Time, times int, least time.Duration) bool {
	for _, since := range to {
		if !o.lateBy(since, now, times, least) {
			return false
		}
	}
	return true
}
