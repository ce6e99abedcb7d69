package exchange

import (
	"net/netip"
	"testing"
	"time"
)

func addr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7052)
}

func TestAddressesAreTriedAgain(t *testing.T) {
	now := time.Unix(1000, 0)
	a := newAddresses()
	a.add([]netip.AddrPort{addr(1), addr(1)}, now)
	var waits []time.Duration
	for range 7 {
		begin := now
		for len(a.due(now, 1)) == 0 {
			now = now.Add(100 * time.Millisecond)
		}
		if len(a.due(now, 1)) != 0 {
			t.Fatal("an address that is being dialled is due")
		}
		waits = append(waits, now.Sub(begin))
		a.ended(addr(1), 0, now)
	}
	for i, want := range []time.Duration{0, 500, 1000, 2000, 4000, 8000, 8000} {
		if waits[i] != want*time.Millisecond {
			t.Errorf("waits were %v", waits)
			break
		}
	}
	a.ended(addr(1), settled, now)
	if len(a.due(now.Add(redialFirst), 1)) != 1 {
		t.Error("after a good connection it is not tried soon")
	}
}

func TestAddressesAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	a := newAddresses()
	a.add([]netip.AddrPort{addr(0)}, now)
	if len(a.due(now, 1)) != 1 {
		t.Fatal("a new address is not due")
	}
	for i := range 3 * maxAddresses {
		a.add([]netip.AddrPort{addr(i)}, now.Add(time.Duration(i)*time.Second))
	}
	if len(a.known) > maxAddresses || a.known[addr(0)] == nil || a.known[addr(3*maxAddresses-1)] == nil {
		t.Errorf("%d addresses are known", len(a.known))
	}
}

func TestBannedIsLeftAlone(t *testing.T) {
	now := time.Unix(1000, 0)
	a := newAddresses()
	a.add([]netip.AddrPort{addr(1), addr(2)}, now)
	a.ban(addr(1).Addr(), Node, now)
	a.ban(addr(2).Addr(), Head, now)
	for _, c := range []struct {
		after time.Duration
		want  int // addresses that are due
	}{{banHead - 1, 0}, {banHead, 1}, {banNode - 1, 0}, {banNode, 1}} {
		if got := len(a.due(now.Add(c.after), 9)); got != c.want {
			t.Errorf("after %s %d are dialled, want %d", c.after, got, c.want)
		}
	}
}
