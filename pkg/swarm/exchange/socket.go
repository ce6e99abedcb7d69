package exchange

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tune sets what a connection needs to pass on pieces of a length soon: little that waits unsent,
// where nothing can be taken back, and little that waits unread.
func tune(c *net.TCPConn, pieceLength int64) error {
	if err := c.SetReadBuffer(int(min(max(pieceLength*3/8, 32<<10), 1<<20))); err != nil {
		return err
	}
	err := c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3})
	if err != nil {
		return err
	}
	return option(c, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, int(min(max(pieceLength/4, BlockSize), 128<<10)))
}

func option(c *net.TCPConn, level, name, value int) error {
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

// thrifty reads from a connection and lets the process sleep until a block's rest is there, not
// for each packet. A read that asks for more than the read-ahead is one of a block.
type thrifty struct {
	*net.TCPConn
	mark int // what SO_RCVLOWAT is
}

// Read reads what is there, or waits for len(b) bytes of a block.
func (t *thrifty) Read(b []byte) (int, error) {
	mark := 1
	if len(b) > readBuffer {
		mark = len(b)
	}
	if mark != t.mark {
		t.mark = mark
		if err := option(t.TCPConn, unix.SOL_SOCKET, unix.SO_RCVLOWAT, mark); err != nil {
			return 0, err
		}
	}
	return t.TCPConn.Read(b)
}
