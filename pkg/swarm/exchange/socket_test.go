package exchange

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// connected returns both ends of a TCP connection.
func connected(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	d, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

// unsent is how many bytes of a connection wait to be sent.
func unsent(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { n, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD) })
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return n
}

// stuffed returns a connection to a peer that reads nothing and has no room, with more unsent than may be.
func stuffed(t *testing.T) *net.TCPConn {
	t.Helper()
	a, b := connected(t)
	if err := b.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	for waits, i := unsent(t, a), 0; ; i++ {
		if i == 1<<20 {
			t.Fatal("the peer takes everything")
		}
		if waits >= 1<<10 {
			time.Sleep(50 * time.Millisecond)
			if unsent(t, a) == waits {
				break
			}
		}
		if err := a.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write(make([]byte, 100)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		waits = unsent(t, a)
	}
	err := errors.Join(a.SetWriteDeadline(time.Time{}), option(a, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 512))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAfterWriteApartTheNextWriteWaits(t *testing.T) {
	c := stuffed(t)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err) // it goes to the last packet, over the limit
	}
	if err := writeApart(c, []byte("x")); err != nil {
		t.Fatal(err) // so does this
	}
	if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote %d bytes: %v", n, err)
	}
	if err := writeApart(c, []byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote more: %v", err)
	}
}

func TestWriteApartWritesAll(t *testing.T) {
	a, b := connected(t)
	want := bytes.Repeat([]byte("0123456789abcde"), 1<<20) // more than buffers hold
	written := make(chan error, 1)
	go func() {
		err := errors.Join(writeApart(a, want[:1<<20]), writeApart(a, want[1<<20:]), a.CloseWrite())
		written <- err
	}()
	got, err := io.ReadAll(b)
	if err := errors.Join(err, <-written); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, of %d, or others", len(got), len(want))
	}
	_ = a.Close()
	if err := writeApart(a, want); !errors.Is(err, net.ErrClosed) {
		t.Errorf("wrote to a closed connection: %v", err)
	}
}
