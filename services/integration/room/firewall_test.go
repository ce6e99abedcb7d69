package room

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// serve accepts TCP connections at the head.
func serve(t *testing.T, r *Room) netip.AddrPort {
	t.Helper()
	var l net.Listener
	err := r.Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(r.Head(), 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// dial tries to reach an address from a host. The socket is made by the calling thread, so it is the host's.
func dial(h *Host, addr netip.AddrPort, patience time.Duration) error {
	return h.Do(func() error {
		c, err := net.DialTimeout("tcp4", addr.String(), patience)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

func TestBlock(t *testing.T) {
	r := open(t)
	first, second := serve(t, r), serve(t, r)
	h, err := r.AddHost(t.Context(), "client", net.HardwareAddr{0x52, 0x54, 0, 0, 0, 9}, netip.MustParsePrefix("10.30.0.9/16"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, addr netip.AddrPort, open bool) {
		t.Helper()
		patience := 30 * time.Second
		if !open {
			patience = time.Second // what is dropped is never answered
		}
		err := dial(h, addr, patience)
		var slow net.Error
		if open && err != nil {
			t.Errorf("%s: %s is closed: %v", when, addr, err)
		}
		if !open && !(errors.As(err, &slow) && slow.Timeout()) {
			t.Errorf("%s: %s did not hang: %v", when, addr, err)
		}
	}
	change := func(f func(context.Context, ...uint16) error, ports ...uint16) {
		t.Helper()
		if err := f(t.Context(), ports...); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", first, true)
	change(r.Block, first.Port())
	check("first blocked", first, false)
	check("first blocked", second, true)
	change(r.Block, second.Port())
	change(r.Unblock, first.Port())
	check("first open again", first, true)
	check("second blocked", second, false)
	change(r.Unblock, second.Port())
	check("all open", second, true)

	got, err := h.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent == 0 || got.Received == 0 {
		t.Errorf("host's traffic: %+v", got)
	}
}
