package exchange

import (
	"testing"
	"time"
)

// What all nodes together tell a head does not grow with their number.
func TestHeadsAreToldLessOftenByMany(t *testing.T) {
	for name, c := range map[string]struct {
		usual mean
		crowd int
		want  time.Duration
	}{
		"nothing is known":         {0, 0, gatherHead},
		"pieces that take long":    {mean(200 * time.Millisecond), 8, 1200 * time.Millisecond},
		"ones that take too long":  {mean(time.Minute), 24, gatherHeadMost},
		"many nodes, short pieces": {mean(time.Millisecond), 500, 30 * time.Second},
	} {
		if got := untilHeads(c.usual, c.crowd); got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
	}
}
