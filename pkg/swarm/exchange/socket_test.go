package exchange

import (
	"bytes"
	"errors"
	"fmt"
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

// used has a connection be used directly.
func used(t *testing.T, c *net.TCPConn) *direct {
	t.Helper()
	d, err := directly(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
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
func stuffed(t *testing.T) *direct {
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
	d := used(t, a)
	err := errors.Join(a.SetWriteDeadline(time.Time{}), d.set(unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 512))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAfterWriteApartTheNextWriteWaits(t *testing.T) {
	c := stuffed(t)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err) // it goes to the last packet, over the limit
	}
	if _, err := c.writeApart([]byte("x")); err != nil {
		t.Fatal(err) // so does this
	}
	if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote %d bytes: %v", n, err)
	}
	if _, err := c.writeApart([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote more: %v", err)
	}
}

func TestDirectReadsAndWritesAll(t *testing.T) {
	a, b := connected(t)
	from, to := used(t, a), used(t, b)
	want := bytes.Repeat([]byte("0123456789abcde"), 1<<20) // more than buffers hold
	written := make(chan error, 1)
	go func() {
		var sent int
		for i, write := range []func([]byte) (int, error){from.Write, from.writeApart, from.Write} {
			n, err := write(want[i*5<<20 : (i+1)*5<<20])
			sent += n
			if err != nil || n != 5<<20 {
				written <- fmt.Errorf("wrote %d bytes: %w", n, err)
				return
			}
		}
		written <- a.CloseWrite()
	}()
	got, err := io.ReadAll(to)
	if err := errors.Join(err, <-written); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, of %d, or others", len(got), len(want))
	}
}

func TestDirectFails(t *testing.T) {
	a, b := connected(t)
	c := used(t, a)
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes of none: %v", n, err)
	}
	if err := errors.Join(c.SetReadDeadline(time.Time{}), b.SetLinger(0), b.Close()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("read %d bytes of a connection that was reset: %v", n, err)
	}
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, unix.EPIPE) {
		t.Errorf("wrote %d bytes to a connection that was reset: %v", n, err)
	}
	if err := c.set(unix.SOL_SOCKET, -1, 1); !errors.Is(err, unix.ENOPROTOOPT) {
		t.Errorf("set an option that there is not: %v", err)
	}
	_ = c.Close()
	_, read := c.Read(make([]byte, 1))
	_, wrote := c.writeApart([]byte("x"))
	for what, err := range map[string]error{"read": read, "wrote": wrote, "set": c.set(unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1)} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s, of a closed connection: %v", what, err)
		}
	}
}
