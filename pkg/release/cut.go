package release

import (
	"hash/fnv"
	"math/bits"
)

// Segments are cut before entries whose path hashes to a multiple of cutEvery, so that a cut depends on names and not
// on what came before it.
const (
	smallestCut = 8 << 20
	largestCut  = 64 << 20
	cutEvery    = 128
	// cutsWanted bounds the number of segments of big trees: each is padded by half a piece on average.
	cutsWanted = 256
)

// cut divides the sorted entries into segments of smallestCut to largestCut bytes of tar. A file of half largestCut
// or more stands alone; the entries before such a file, and the last ones, may make a smaller segment.
func cut(entries []entry) [][]entry {
	least := leastCut(entries)
	var segments [][]entry
	var weight int64
	start := 0
	flush := func(end int) {
		if end > start {
			segments = append(segments, entries[start:end])
		}
		start, weight = end, 0
	}
	for i := range entries {
		w := weigh(&entries[i])
		switch {
		case w >= largestCut/2:
			flush(i)
			flush(i + 1)
			continue
		case weight+w > largestCut, weight >= least && isCut(entries[i].name):
			flush(i)
		}
		weight += w
	}
	flush(len(entries))
	return segments
}

// leastCut returns the size from which a segment may end.
func leastCut(entries []entry) int64 {
	var total int64
	for i := range entries {
		total += weigh(&entries[i])
	}
	least := int64(smallestCut)
	for least < largestCut/2 && total/least > cutsWanted {
		least *= 2
	}
	return least
}

func isCut(name string) bool {
	h := fnv.New64a()
	h.Write([]byte(name))
	return bits.RotateLeft64(h.Sum64()*0x9e3779b97f4a7c15, 17)%cutEvery == 0
}

// weigh returns about what the entry takes in a tar. It rounds to four steps an octave, so that a file that changes a
// little does not move the cuts after it.
func weigh(e *entry) int64 {
	const header = 1 << 10
	if !e.stat.isRegular() || e.target != "" || e.blank {
		return header
	}
	return header + roundUp(e.stat.Size)
}

func roundUp(n int64) int64 {
	step := int64(1) << max(9, bits.Len64(uint64(n))-3)
	return (n + step - 1) / step * step
}
