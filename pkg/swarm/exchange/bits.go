package exchange

import "math/bits"

// set is a set of pieces.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s set) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s set) remove(i int) { s[i/64] &^= 1 << (i % 64) }

// count returns how many are in the set.
func (s set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// empty tells whether none is.
func (s set) empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// meets tells whether s and o have one in common.
func (s set) meets(o set) bool {
	for i, w := range s {
		if w&o[i] != 0 {
			return true
		}
	}
	return false
}

// subtract takes out of s what is in o.
func (s set) subtract(o set) {
	for i, w := range o {
		s[i] &^= w
	}
}

// both calls do for each that is in s and in o, in ascending order.
func (s set) both(o set, do func(i int)) {
	for at, w := range s {
		for w &= o[at]; w != 0; w &= w - 1 {
			do(at*64 + bits.TrailingZeros64(w))
		}
	}
}

// each calls do for each that is in the set, in ascending order.
func (s set) each(do func(i int)) { s.both(s, do) }

// bools returns the set as n marks.
func (s set) bools(n int) []bool {
	b := make([]bool, n)
	s.each(func(i int) { b[i] = true })
	return b
}

// from returns the first in the set that is i or more, else the first of all; -1 when none is.
func (s set) from(i int) int {
	for n := range len(s) + 1 { // the first word twice: its lower bits come last
		at := (i/64 + n) % len(s)
		w := s[at]
		if n == 0 {
			w &= ^uint64(0) << (i % 64)
		}
		if w != 0 {
			return at*64 + bits.TrailingZeros64(w)
		}
	}
	return -1
}
