package plan

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Range is IPv4 addresses from first to last, both included.
type Range struct{ first, last uint32 }

// NewRange returns the range between two IPv4 addresses in order.
func NewRange(first, last netip.Addr) (*Range, error) {
	if !first.Is4() || !last.Is4() || last.Less(first) {
		return nil, fmt.Errorf("%s to %s is no range of IPv4 addresses", first, last)
	}
	return &Range{number(first), number(last)}, nil
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Len is how many addresses the range has.
func (r *Range) Len() int { return int(r.last-r.first) + 1 }

// At returns the i-th address.
func (r *Range) At(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], r.first+uint32(i))
	return netip.AddrFrom4(b)
}

// Contains tells whether an address lies in the range.
func (r *Range) Contains(a netip.Addr) bool {
	return r != nil && a.Is4() && number(a) >= r.first && number(a) <= r.last
}

// Slice returns the i-th of n parts of about the same size; nil when the range
// has too few addresses for it.
func (r *Range) Slice(i, n int) *Range {
	from, to := r.Len()*i/n, r.Len()*(i+1)/n
	if from >= to {
		return nil
	}
	return &Range{r.first + uint32(from), r.first + uint32(to) - 1}
}

// String returns first-last.
func (r *Range) String() string { return r.At(0).String() + "-" + r.At(r.Len()-1).String() }
