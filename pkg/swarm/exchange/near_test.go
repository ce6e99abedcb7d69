package exchange

import (
	"testing"
	"time"
)

// Of those who are near, one and only one fetches each piece.
func TestImportsAreShared(t *testing.T) {
	const nodes, pieces = 7, 1000
	var ids [nodes][20]byte
	for i := range ids {
		ids[i] = NewPeerID(Node)
	}
	for piece, n := range importers(ids[:], pieces) {
		if n != 1 {
			t.Fatalf("%d nodes fetch piece %d", n, piece)
		}
	}
	alone := newImports(ids[0], pieces)
	alone.chosen(func() []uint64 { return nil })
	if n := alone.mine.count(); n != pieces {
		t.Errorf("a node that is alone fetches %d of %d pieces", n, pieces)
	}
}

// importers returns how many nodes fetch each piece.
func importers(ids [][20]byte, pieces int) []int {
	count := make([]int, pieces)
	for i, id := range ids {
		m := newImports(id, pieces)
		m.chosen(func() (others []uint64) {
			for j, o := range ids {
				if j != i {
					others = append(others, rank(o))
				}
			}
			return others
		})
		m.mine.each(func(piece int) { count[piece]++ })
	}
	return count
}

func TestLateImportsAreForAll(t *testing.T) {
	begin := time.Unix(1, 0)
	m := newImports(NewPeerID(Node), 3)
	m.chosen(func() []uint64 { return nil })
	m.mine = newSet(3) // another fetches all
	m.saw(1, begin)
	m.saw(1, begin.Add(time.Hour)) // it was seen before
	wanted := setOf(3, 0, 1, 2)
	if m.look(0, begin.Add(second)); !m.allowed(wanted).empty() {
		t.Error("a piece is for all at once")
	}
	m.look(0, begin.Add(3*second))
	if got := m.allowed(wanted); !got.has(1) || got.count() != 1 {
		t.Errorf("late are %v", got)
	}
	if got := m.allowed(setOf(3, 0)); !got.empty() {
		t.Errorf("what is not wanted may be fetched: %v", got)
	}
}
