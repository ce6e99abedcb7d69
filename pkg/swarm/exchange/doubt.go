package exchange

import "time"

// doubt looks whether nodes get anything. When none does for long, though some lack pieces, those
// who alone have pieces keep them to themselves, frozen or lying: these pieces are free again, and
// so are those that were offered in vain.
func (o *offers[N]) doubt(now time.Time) {
	if !o.incomplete() {
		o.news = now
	}
	if now.Sub(o.news) < o.mean.times(stillTimes, stillLeast) {
		return
	}
	o.news = now
	for n, t := range o.nodes {
		for piece := range t.open {
			o.end(n, t, piece)
		}
	}
	for _, t := range o.nodes {
		if !t.doubted && o.alone(t) {
			t.doubted = true
			o.forget(t)
		}
	}
}

func (o *offers[N]) incomplete() bool {
	for _, t := range o.nodes {
		if t.lacks > 0 {
			return true
		}
	}
	return false
}

// alone tells whether a node has pieces that no other believed node has, while there are others.
func (o *offers[N]) alone(t *taker) (alone bool) {
	if len(o.nodes) < 2 {
		return false
	}
	t.has.each(func(i int) { alone = alone || o.holders[i] == 1 && o.have.has(i) })
	return alone
}
