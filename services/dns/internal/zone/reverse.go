package zone

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// mostV6 is the longest prefix that gets reverse zones of its own size.
const mostV6 = 124

// Reverse returns the origins of the reverse zones that together cover a
// network: a /16 is one, a /20 is sixteen of 24 bits (IPv4 at whole bytes,
// IPv6 at nibbles). A network smaller than the smallest zone lies in one.
func Reverse(p netip.Prefix) []string {
	p = p.Masked()
	step, most := 8, 24
	if p.Addr().Is6() {
		step, most = 4, mostV6
	}
	bits := min((max(p.Bits(), 1)+step-1)/step*step, most)
	count := 1 << max(bits-p.Bits(), 0)
	labels := ReverseName(p.Addr())
	origins := make([]string, 0, count)
	drop := (p.Addr().BitLen() - bits) / step
	parts := strings.Split(labels, ".")[drop:]
	base := unitAt(p.Addr(), bits, step)
	for i := range count {
		parts[0] = unitText(base+i, step)
		origins = append(origins, strings.Join(parts, "."))
	}
	return origins
}

// unitAt returns the byte or nibble of an address that ends at a bit.
func unitAt(a netip.Addr, bits, step int) int {
	raw := a.AsSlice()
	b := int(raw[(bits-1)/8])
	if step == 8 {
		return b
	}
	if bits%8 == 4 {
		return b >> 4
	}
	return b & 15
}

func unitText(v, step int) string {
	if step == 8 {
		return fmt.Sprintf("%d", v)
	}
	return fmt.Sprintf("%x", v)
}

const hexDigits = "0123456789abcdef"

// ReverseName returns the name of an address's PTR record (RFC 1035 section 3.5, RFC 3596 section 2.5).
func ReverseName(a netip.Addr) string {
	raw := a.AsSlice()
	if a.Is4() {
		b := make([]byte, 0, len("255.255.255.255.in-addr.arpa."))
		for i := len(raw) - 1; i >= 0; i-- {
			b = append(strconv.AppendUint(b, uint64(raw[i]), 10), '.')
		}
		return string(b) + "in-addr.arpa."
	}
	b := make([]byte, 0, 73)
	for i := len(raw) - 1; i >= 0; i-- {
		b = append(b, hexDigits[raw[i]&15], '.', hexDigits[raw[i]>>4], '.')
	}
	return string(b) + "ip6.arpa."
}
