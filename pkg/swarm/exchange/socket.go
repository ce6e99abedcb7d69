package exchange

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout is how long a peer may take to answer.
const dialTimeout = 5 * time.Second

// tcp connects hosts by TCP.
type tcp struct{}

// listen opens a port; the zero address is all addresses.
func (tcp) listen(at netip.AddrPort) (net.Listener, error) {
	addr := ""
	if a := at.Addr(); a.IsValid() && !a.IsUnspecified() {
		addr = a.String()
	}
	return net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(int(at.Port()))))
}

// dial connects from an address, unless that is all or none.
func (tcp) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if from.IsValid() && !from.IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
}

// tune sets what a connection needs to pass on pieces of a length soon: little that waits unsent,
// where nothing can be taken back, and little that waits unread.
func tune(conn net.Conn, pieceLength int64) error {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	// The reader waits for a part of the buffer; the peer must have room to go on meanwhile.
	if err := c.SetReadBuffer(max(4*unreadBytes(pieceLength), 128<<10)); err != nil {
		return err
	}
	err := c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3})
	if err != nil {
		return err
	}
	return option(c, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes(pieceLength))
}

// unreadBytes is how much of a piece is waited for before it is read.
func unreadBytes(pieceLength int64) int { return int(min(max(pieceLength*3/8, 32<<10), 1<<20)) }

// unsentBytes is how much waits in the kernel to be sent before a write waits.
func unsentBytes(pieceLength int64) int { return int(min(max(pieceLength/4, BlockSize/4), 128<<10)) }

// writeApart writes so that the next write waits until little of this is unsent. Without the end of a record
// (MSG_EOR) the kernel would add the next to the last packet that waits, up to 64 KB, whatever TCP_NOTSENT_LOWAT says.
func writeApart(conn net.Conn, b []byte) error {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		_, err := conn.Write(b)
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		for failed = nil; len(b) > 0 && failed == nil; {
			var n int
			if n, failed = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_EOR|unix.MSG_NOSIGNAL); failed == nil {
				b = b[n:]
			} else if failed == unix.EINTR {
				failed = nil
			}
		}
		return failed != unix.EAGAIN
	})
	return errors.Join(err, failed)
}

// option sets an option of a TCP connection; others have none.
func option(conn net.Conn, level, name, value int) error {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, name, value) }); err != nil {
		return err
	}
	return failed
}

// thrifty reads from a connection and lets the process sleep until much of what is sure to come is
// there, not for each packet.
type thrifty struct {
	net.Conn
	most  int   // bytes that are waited for at once
	total int64 // bytes that were read
	sure  int64 // total will come to that: the peer is sending a piece

	mu   sync.Mutex // guards what follows
	mark int        // SO_RCVLOWAT
	slow bool       // nothing is sure until the reader says so again
}

// Read reads what is there, or waits.
func (t *thrifty) Read(b []byte) (int, error) {
	if err := t.wait(int(min(t.sure-t.total, int64(t.most)))); err != nil {
		return 0, err
	}
	n, err := t.Conn.Read(b)
	t.total += int64(n)
	return n, err
}

// wait makes the next read wait for n bytes, if so many are sure to come.
func (t *thrifty) wait(n int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n < 1 || t.slow {
		n = 1
	}
	if n >= t.mark && n < 2*t.mark {
		return nil // not worth a call
	}
	t.mark = n
	return option(t.Conn, unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
}

// expect tells that so many bytes will come. The reader calls it.
func (t *thrifty) expect(bytes int) {
	t.sure = max(t.sure, t.total+int64(bytes))
	t.mu.Lock()
	t.slow = false
	t.mu.Unlock()
}

// relax makes a read that waits for much return with what is there: the peer may not send the rest.
// Anybody may call it.
func (t *thrifty) relax() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slow = true
	if t.mark > 1 {
		t.mark = 1
		_ = option(t.Conn, unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1) // it fails when the connection is closed
	}
}
