package exchange

import (
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// BenchmarkDiscover is a node's first packet, from bytes to bytes.
func BenchmarkDiscover(b *testing.B) {
	t := &testing.T{}
	s := start(t, facts())
	in := In{Link: eth0, Port: 67, From: netip.MustParseAddrPort("0.0.0.0:68"),
		Data: packet(t, nodeMAC, dhcpv4.MessageTypeDiscover, arch(iana.EFI_X86_64), everything).ToBytes()}
	for b.Loop() {
		if _, ok := s.Answer(in); !ok {
			b.Fatal("no answer")
		}
	}
}
