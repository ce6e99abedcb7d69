package exchange

import (
	"math/rand/v2"
	"testing"
	"time"
)

const second = time.Second

// chance is the same in every run.
func chance() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func setOf(n int, members ...int) set {
	s := newSet(n)
	for _, i := range members {
		s.add(i)
	}
	return s
}

func TestChoosePeer(t *testing.T) {
	for name, c := range map[string]struct {
		from []candidate
		want int
	}{
		"nobody":            {nil, -1},
		"the only one":      {[]candidate{{3, second}}, 0},
		"fewest open":       {[]candidate{{1, second}, {0, 9 * second}, {2, 0}}, 1},
		"quickest":          {[]candidate{{0, 9 * second}, {0, second}, {0, 4 * second}}, 1},
		"unknown is usual":  {[]candidate{{0, 0}, {0, 9 * second}}, 0},
		"known and quicker": {[]candidate{{0, 0}, {0, second / 4}}, 1},
	} {
		for range 20 {
			if got := choosePeer(c.from, second, chance()); got != c.want {
				t.Errorf("%s: chose %d, want %d", name, got, c.want)
			}
		}
	}
}

func TestChoosePeerVaries(t *testing.T) {
	seen, r := map[int]int{}, chance()
	for range 1000 {
		seen[choosePeer([]candidate{{0, second}, {0, second}, {0, second}, {1, second}}, second, r)]++
	}
	if len(seen) != 3 || seen[0] < 200 || seen[1] < 200 || seen[2] < 200 {
		t.Errorf("equal peers were chosen %v times", seen)
	}
}

func TestChoosePiece(t *testing.T) {
	holders := []uint16{3, 1, 2, 1, 0}
	for name, c := range map[string]struct {
		has, wanted []int
		want        map[int]bool
	}{
		"nothing in common": {[]int{0, 1}, []int{2, 3}, map[int]bool{-1: true}},
		"the rarest":        {[]int{0, 2, 3}, []int{0, 1, 2, 3, 4}, map[int]bool{3: true}},
		"one of the rarest": {[]int{0, 1, 2, 3}, []int{0, 1, 2, 3}, map[int]bool{1: true, 3: true}},
	} {
		seen, r := map[int]bool{}, chance()
		for range 50 {
			seen[choosePiece(setOf(5, c.has...), setOf(5, c.wanted...), holders, r)] = true
		}
		if len(seen) != len(c.want) {
			t.Errorf("%s: chose %v, want %v", name, seen, c.want)
		}
		for i := range seen {
			if !c.want[i] {
				t.Errorf("%s: chose %d", name, i)
			}
		}
	}
}

func TestPerPeer(t *testing.T) {
	for peers, want := range map[int]int{0: 0, 1: 3, 4: 3, 5: 2, 7: 2, 8: 1, 60: 1} {
		if got := perPeer(peers); got != want {
			t.Errorf("%d of one of %d peers, want %d", got, peers, want)
		}
	}
}

func TestSet(t *testing.T) {
	s := setOf(130, 0, 63, 64, 129)
	s.remove(63)
	if s.count() != 3 || s.has(63) || !s.has(129) || s.empty() || !newSet(130).empty() {
		t.Errorf("set is %v", s)
	}
	for from, want := range map[int]int{0: 0, 1: 64, 64: 64, 65: 129, 129: 129} {
		if got := s.from(from); got != want {
			t.Errorf("from %d comes %d, want %d", from, got, want)
		}
	}
	if got := setOf(130, 5).from(7); got != 5 {
		t.Errorf("round the end comes %d", got)
	}
	if got := newSet(130).from(7); got != -1 {
		t.Errorf("of none comes %d", got)
	}
	if !s.meets(setOf(130, 129)) || s.meets(setOf(130, 1, 63)) {
		t.Error("sets meet wrongly")
	}
}
