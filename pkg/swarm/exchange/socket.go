package exchange

import (
	"context"
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
// where nothing can be taken back, and little that waits unread. It returns the connection as it is to be used.
func tune(conn net.Conn, pieceLength int64) (net.Conn, error) {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	if err := c.SetReadBuffer(receiveBytes(pieceLength)); err != nil {
		return nil, err
	}
	if err := c.SetKeepAliveConfig(keepAliveOf(probeIdle)); err != nil {
		return nil, err
	}
	d, err := directly(c)
	if err != nil {
		return nil, err
	}
	return d, d.set(unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes(pieceLength))
}

// probeIdle is after how much silence TCP looks whether a peer is still there. Nodes tell heads something more often than
// that (gatherCrowd), up to 80 of them: each look costs an acknowledgement of both.
const probeIdle = 8 * time.Second

// keepAliveOf ends a connection to a machine that is gone six seconds after so much silence.
func keepAliveOf(idle time.Duration) net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: idle, Interval: 2 * time.Second, Count: 3}
}

// receiveBytes is how much of pieces may wait to be read.
func receiveBytes(pieceLength int64) int { return int(min(max(pieceLength*3/2, 128<<10), 4<<20)) }

// unreadBytes is how much of a piece is waited for before it is read: at most half of receiveBytes, since the peer must
// have room to go on meanwhile.
func unreadBytes(pieceLength int64) int { return int(min(max(pieceLength*3/8, 64<<10), 1<<20)) }

// unsentBytes is how much waits in the kernel to be sent before a write waits.
func unsentBytes(pieceLength int64) int { return int(min(max(pieceLength/4, BlockSize/4), 128<<10)) }

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
	return t.setMark(n)
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
		_ = t.setMark(1) // it fails when the connection is closed
	}
}

// setMark sets for how much a read waits; mu is held. Connections that are not TCP's do not wait for more than anything.
func (t *thrifty) setMark(n int) error {
	t.mark = n
	if d, ok := t.Conn.(*direct); ok {
		return d.set(unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
	}
	return nil
}
