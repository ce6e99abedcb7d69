package remote

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// mute is how long a machine may say nothing at all: listing and comparing its files takes long, but not so long. One that
// hangs, as on a file system whose server is away, would else hold the image for ever.
const mute = 15 * time.Minute

// lively is a connection that ends when nothing comes for a while, once watch was called.
type lively struct {
	net.Conn
	most atomic.Int64 // nanoseconds; 0 does not watch
}

// watch begins to watch, and takes other deadlines away.
func (l *lively) watch(most time.Duration) error {
	l.most.Store(int64(most))
	return errors.Join(l.SetDeadline(time.Time{}), l.SetReadDeadline(time.Now().Add(most)))
}

// Read reads what comes.
func (l *lively) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if most := time.Duration(l.most.Load()); err == nil && most > 0 {
		err = l.SetReadDeadline(time.Now().Add(most))
	}
	return n, err
}
