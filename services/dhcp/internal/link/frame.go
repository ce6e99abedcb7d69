package link

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// frames sends IP packets in Ethernet frames to clients that cannot answer ARP yet.
type frames struct {
	fd    int
	index int
}

func openFrames(index int) (*frames, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // protocol 0 receives nothing
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	return &frames{fd: fd, index: index}, nil
}

func (f *frames) close() error { return unix.Close(f.fd) }

// send puts a UDP payload into a frame to a hardware address.
func (f *frames) send(hw net.HardwareAddr, from, to netip.AddrPort, payload []byte) error {
	sa := &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: f.index, Halen: uint8(len(hw))} // ETH_P_IP in network order
	copy(sa.Addr[:], hw)
	if err := unix.Sendto(f.fd, datagram(from, to, payload), 0, sa); err != nil {
		return fmt.Errorf("send frame to %s: %w", hw, err)
	}
	return nil
}

const (
	ipHeader  = 20
	udpHeader = 8
)

// datagram returns an IPv4 packet with a UDP payload (RFC 791, RFC 768).
func datagram(from, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, ipHeader+udpHeader, ipHeader+udpHeader+len(payload))
	src, dst := from.Addr().As4(), to.Addr().As4()
	udpLen := udpHeader + len(payload)
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(ipHeader+udpLen))
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b[:ipHeader])))
	udp := b[ipHeader:]
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen))
	b = append(b, payload...)
	pseudo := sum(uint32(unix.IPPROTO_UDP)+uint32(udpLen), b[12:20])
	check := ^fold(sum(pseudo, b[ipHeader:]))
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(b[ipHeader+6:], check)
	return b
}

// sum adds up the 16-bit words of b (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
