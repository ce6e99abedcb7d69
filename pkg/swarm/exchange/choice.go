package exchange

import (
	"math/rand/v2"
	"time"
)

// candidate is a peer that could be asked.
type candidate struct {
	open    int           // pieces that are asked of it
	latency time.Duration // from request to the whole piece, of late; 0 is not known
}

// choosePeer returns which of the candidates to ask, -1 when there are none: the one with the
// fewest open requests, of those the quickest, with a little chance in it. Choosing the piece
// first would send everybody to the same peer.
func choosePeer(from []candidate, usual time.Duration, chance *rand.Rand) int {
	best, bestTime := -1, 0.0
	for i, c := range from {
		if best >= 0 && c.open > from[best].open {
			continue
		}
		latency := c.latency
		if latency == 0 {
			latency = usual
		}
		t := float64(latency) * (0.75 + chance.Float64()/2)
		if best < 0 || c.open < from[best].open || t < bestTime {
			best, bestTime = i, t
		}
	}
	return best
}

// choosePiece returns one of the pieces that are in both sets and that the fewest peers have,
// -1 when there are none.
func choosePiece(has, wanted set, holders []uint16, chance *rand.Rand) int {
	best, same := -1, 0
	has.both(wanted, func(i int) {
		switch {
		case best < 0 || holders[i] < holders[best]:
			best, same = i, 1
		case holders[i] == holders[best]:
			if same++; chance.IntN(same) == 0 {
				best = i
			}
		}
	})
	return best
}

// perPeer returns how many pieces may be asked of one peer at a time, when there are so many.
func perPeer(peers int) int {
	if peers == 0 {
		return 0
	}
	return min(max(inFlight/peers, 1), 3)
}
