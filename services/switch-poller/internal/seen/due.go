package seen

import (
	"slices"
	"time"

	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

// due tells whether the bus must hear of a sighting, old being what it has: when that is over, soon will be, or was somewhere
// else. What another head has seen later is never taken back; what claims to be of the future does not count as later.
func due(old, seen *switchpollerv1.Seen, now time.Time) bool {
	at, until := times(seen)
	oldAt, oldUntil := times(old)
	switch {
	case !until.After(now):
		return false
	case old == nil || !oldUntil.After(now):
		return true
	case !at.After(oldAt) && !oldAt.After(now):
		return false
	case !same(old, seen):
		return true
	}
	return oldUntil.Sub(now) < until.Sub(at)/2
}

func same(a, b *switchpollerv1.Seen) bool {
	return a.PortName == b.PortName && a.PortNumber == b.PortNumber && slices.Equal(a.Vlans, b.Vlans)
}
