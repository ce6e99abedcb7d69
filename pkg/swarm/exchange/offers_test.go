package exchange

import (
	"testing"
	"time"
)

// office is a head with some nodes, at a time that stands still.
type office struct {
	*offers[string]
	t   *testing.T
	now time.Time
}

func newOffice(t *testing.T, pieces int, nodes ...string) *office {
	o := &office{offers: newOffers[string](pieces, chance()), t: t, now: time.Unix(1000, 0)}
	for i := range pieces {
		o.gain(i)
	}
	for _, n := range nodes {
		o.join(n, newSet(pieces), o.now)
	}
	return o
}

// take makes n offers and returns them.
func (o *office) take(n int) map[int]string {
	o.t.Helper()
	made := map[int]string{}
	for range n {
		node, piece, ok := o.next(o.now)
		if !ok {
			o.t.Fatalf("%d offers, then none; want %d", len(made), n)
		}
		if _, twice := made[piece]; twice {
			o.t.Fatalf("piece %d is offered twice", piece)
		}
		made[piece] = node
	}
	return made
}

func (o *office) none(why string) {
	o.t.Helper()
	if n, piece, ok := o.next(o.now); ok {
		o.t.Errorf("%s: piece %d is offered to %s", why, piece, n)
	}
}

func TestSoManyOffersAreOpen(t *testing.T) {
	o := newOffice(t, 3*offerWidth, "a", "b", "c")
	made := o.take(offerWidth)
	o.none("as many are open as may be")
	count := map[string]int{}
	for piece, n := range made {
		count[n]++
		o.got(n, piece, o.now)
	}
	if each := offerWidth / 3; count["a"] != each || count["b"] != each || count["c"] != each {
		t.Errorf("offers went to %v", count)
	}
	o.take(offerWidth)
}

func TestEachPieceIsOfferedOnce(t *testing.T) {
	o := newOffice(t, 20, "a", "b")
	all := map[int]bool{}
	for range 20 {
		for piece, n := range o.take(1) {
			if all[piece] {
				t.Fatalf("piece %d comes twice", piece)
			}
			all[piece] = true
			o.now = o.now.Add(10 * time.Millisecond)
			o.got(n, piece, o.now)
		}
	}
	o.none("every piece is at a node")
}

func TestSlowNodeIsNotOfferedTheLastPieces(t *testing.T) {
	for pieces := 400; pieces < 440; pieces++ {
		if left := leftForSlow(t, pieces); len(left) < 10 || left[len(left)-1] < offerWidth {
			t.Errorf("of %d pieces the slow node was offered some when there were %v left", pieces, left)
		}
	}
}

// leftForSlow lets a quick and a slow node take pieces. It returns how many were left when the slow one was offered some.
func leftForSlow(t *testing.T, pieces int) (left []int) {
	type offer struct {
		node string
		due  time.Time
	}
	o := newOffice(t, pieces, "quick", "slow")
	open := map[int]offer{}
	for made := 0; made < pieces || len(open) > 0; o.now = o.now.Add(10 * time.Millisecond) {
		for n, piece, ok := o.next(o.now); ok; n, piece, ok = o.next(o.now) {
			takes := 50 * time.Millisecond
			if made++; n == "slow" {
				takes *= 10
				left = append(left, pieces-made)
			}
			open[piece] = offer{n, o.now.Add(takes)}
		}
		for piece, f := range open {
			if !o.now.Before(f.due) {
				delete(open, piece)
				o.got(f.node, piece, o.now)
			}
		}
	}
	return left
}

func TestWhatNodesHaveIsNotOffered(t *testing.T) {
	o := newOffice(t, 3)
	o.join("a", setOf(3, 0, 2), o.now)
	o.none("a restarted head waits for its nodes")
	o.now = o.now.Add(gathering)
	if made := o.take(1); made[1] != "a" {
		t.Errorf("offered %v", made)
	}
	o.none("there is no more")
}

func TestWhatTheHeadLacksIsNotOffered(t *testing.T) {
	o := newOffice(t, 2, "a")
	o.lose(0)
	if made := o.take(1); made[1] != "a" {
		t.Errorf("offered %v", made)
	}
	o.none("the head lacks the rest")
	o.gain(0)
	o.take(1)
}

func TestNodeThatGoes(t *testing.T) {
	o := newOffice(t, 4, "a", "b")
	made := o.take(4)
	kept := 0
	for piece, n := range made {
		if n == "b" {
			o.got("b", piece, o.now)
			kept++
		}
	}
	o.leave("a")
	for piece, n := range o.take(4 - kept) {
		if n != "b" || made[piece] != "a" {
			t.Errorf("piece %d goes to %s", piece, n)
		}
	}
	o.leave("b")
	o.join("c", newSet(4), o.now)
	o.take(4)
}

func TestLateOffersHoldNoSlot(t *testing.T) {
	o := newOffice(t, 40, "slow", "quick")
	made := o.take(offerWidth)
	for piece, n := range made {
		if n == "quick" {
			o.now = o.now.Add(100 * time.Millisecond)
			o.got(n, piece, o.now)
		}
	}
	o.take(offerWidth / 2)
	o.none("as many are open as may be")
	o.now = o.now.Add(lateLeast - time.Millisecond)
	for _, n := range o.take(offerWidth / 2) {
		if n == "slow" {
			t.Error("another goes to the slow node")
		}
	}
	o.none("half of them, of the slow node, are late, as many are open as may be")
}

func TestAtTheEndAnOfferIsLateSooner(t *testing.T) {
	for _, left := range []int{0, 1} { // pieces that are not offered yet
		o := newOffice(t, 12+left, "slow", "quick")
		made := o.take(12)
		o.now = o.now.Add(100 * time.Millisecond)
		for piece, n := range made {
			if n == "quick" {
				o.got(n, piece, o.now)
			}
		}
		o.now = o.now.Add(lateAtEnd)
		n, piece, ok := o.another(o.now)
		if left > 0 && ok {
			t.Errorf("piece %d is offered to %s again, though others are not offered yet", piece, n)
		}
		if left == 0 && (!ok || n != "quick" || made[piece] != "slow") {
			t.Errorf("piece %d, of %s, is offered to %q", piece, made[piece], n)
		}
	}
}

func TestLatePiecesAreOfferedElsewhere(t *testing.T) {
	o := newOffice(t, 2, "slow", "quick")
	o.take(2)
	if _, _, ok := o.another(o.now); ok {
		t.Error("an offer that is not late is made again")
	}
	o.now = o.now.Add(lateFirst)
	for range 2 {
		n, piece, ok := o.another(o.now)
		if !ok || len(o.open[piece]) != 2 {
			t.Errorf("offered %d to %s, %v", piece, n, ok)
		}
	}
	o.got("slow", 0, o.now)
	o.got("slow", 1, o.now)
	if o.extra = extraLeast; o.made != 2 {
		t.Errorf("%d first offers", o.made)
	}
	if _, piece, ok := o.another(o.now); ok {
		t.Errorf("piece %d is offered beyond the budget", piece)
	}
}

func TestRarestComeLast(t *testing.T) {
	o := newOffice(t, 3, "a", "b")
	for range 3 {
		for piece, n := range o.take(1) {
			o.got(n, piece, o.now)
		}
	}
	n, piece, ok := o.another(o.now)
	if !ok || o.nodes[n].has.has(piece) {
		t.Errorf("piece %d to %s, %v", piece, n, ok)
	}
}

// A node that keeps to itself what it has, or says it has, is not believed any more.
func TestDoubt(t *testing.T) {
	const pieces = offerWidth + 2
	o := newOffice(t, pieces)
	all := newSet(pieces)
	for i := range pieces {
		all.add(i)
	}
	o.join("liar", all, o.now)
	o.join("a", newSet(pieces), o.now)
	o.now = o.now.Add(gathering)
	o.none("the liar has it all")
	o.now = o.now.Add(stillLeast)
	o.doubt(o.now)
	for _, n := range o.take(offerWidth) {
		if n != "a" {
			t.Errorf("offered to %s", n)
		}
	}
}

func TestOffersInVainAreMadeAnew(t *testing.T) {
	o := newOffice(t, 4, "frozen", "a")
	made := o.take(4)
	o.now = o.now.Add(stillLeast)
	o.doubt(o.now)
	if again := o.take(4); len(again) != len(made) {
		t.Errorf("offered %v, then %v", made, again)
	}
}

func TestDoubtNeedsAStandstill(t *testing.T) {
	o := newOffice(t, 4, "a", "b")
	o.got("a", 0, o.now)
	for i := 1; i < 4; i++ {
		o.now = o.now.Add(stillLeast - 1)
		o.got("b", i, o.now)
		o.doubt(o.now)
	}
	if o.nodes["a"].doubted {
		t.Error("a node is doubted while others get something")
	}
	for i := range 4 {
		o.got("a", i, o.now)
		o.got("b", i, o.now)
	}
	o.now = o.now.Add(time.Hour)
	o.doubt(o.now)
	if o.nodes["a"].doubted || o.nodes["b"].doubted {
		t.Error("a node is doubted though nobody lacks anything")
	}
}
