package link

import (
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
)

func TestDatagram(t *testing.T) {
	from, to := netip.MustParseAddrPort("10.30.255.254:67"), netip.MustParseAddrPort("10.30.0.1:68")
	for _, payload := range []string{"", "odd", "even", string(make([]byte, 1200))} {
		b := datagram(from, to, []byte(payload))
		h, err := ipv4.ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		if h.TotalLen != len(b) || h.Src.String() != "10.30.255.254" || h.Dst.String() != "10.30.0.1" || h.Protocol != 17 {
			t.Errorf("header %v", h)
		}
		if fold(sum(0, b[:20])) != 0xffff {
			t.Error("the header's checksum is wrong")
		}
		if fold(sum(17+uint32(len(b)-20), b[12:])) != 0xffff {
			t.Error("the UDP checksum is wrong")
		}
	}
}
