package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A network of hosts whose links have a rate in both directions, in the time of testing/synctest: what hosts
// do takes none, what they send takes as long as it would on a wire. All else is the exchange as it is.
const (
	segment   = 1448        // bytes of data in a packet
	framing   = 66          // bytes of Ethernet, IP and TCP around them; a packet without data acknowledges two
	quantum   = 4 * segment // bytes of a connection that go out together
	window    = 128 << 10   // bytes of a connection that may be on their way
	simulated = 7052        // the port of all
)

// onWire is how many bytes data takes on a link.
func onWire(data int) int { return data + framing*((data+segment-1)/segment) }

// cloud connects hosts.
type cloud struct {
	running sync.WaitGroup // of all ports
	rate    float64        // of links, bytes a second
	unsent  int            // bytes of a connection that wait to go out before a write waits
	dialled atomic.Int64   // connections
	mu      sync.Mutex
	ports   map[netip.Addr]*port
}

// port is the link of a host. Its mu guards the streams that leave it.
type port struct {
	cloud  *cloud
	addr   netip.Addr
	rate   float64 // bytes a second
	calls  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	work  *sync.Cond // there is something to send, or room for it
	turn  []*stream  // that have something to send
	owed  int        // bytes of acknowledgements
	sent  int64
	use   usage
	down  chan parcel
	ended bool
}

// parcel is data on its way, or the end of the connection.
type parcel struct {
	s    *stream
	data []byte
	last bool
}

// bytes is what a parcel takes on a link.
func (c parcel) bytes() int { return max(onWire(len(c.data)), framing) }

// stream is one direction of a connection.
type stream struct {
	from, to *port
	peers    *end // who reads
	buf      []byte
	onTheWay int
	queued   bool
	shut     bool // nothing more is written
	end      bool // who reads is to hear of it
}

// end is a connection as one host sees it.
type end struct {
	local, remote net.Addr
	out           *stream
	other         *end

	mu     sync.Mutex
	came   *sync.Cond
	data   [][]byte
	closed bool // here, or nothing more comes
}

func newCloud(rate float64, unsent int) *cloud {
	return &cloud{rate: rate, unsent: unsent, ports: map[netip.Addr]*port{}}
}

// cable is a host's way into the cloud.
type cable struct{ c *cloud }

func (w cable) listen(at netip.AddrPort) (net.Listener, error) {
	p := &port{cloud: w.c, rate: w.c.rate, addr: at.Addr(), calls: make(chan net.Conn, 1000), closed: make(chan struct{}), down: make(chan parcel, 1<<16)}
	p.work = sync.NewCond(&p.mu)
	w.c.mu.Lock()
	w.c.ports[at.Addr()] = p
	w.c.mu.Unlock()
	w.c.running.Go(p.sends)
	w.c.running.Go(p.receives)
	return p, nil
}

func (w cable) dial(_ context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	w.c.mu.Lock()
	w.c.dialled.Add(1)
	a, b := w.c.ports[from], w.c.ports[to.Addr()]
	w.c.mu.Unlock()
	if a == nil || b == nil {
		return nil, errors.New("no such host")
	}
	mine, theirs := newEnd(a, b, 40000), newEnd(b, a, simulated)
	mine.out, theirs.out = &stream{from: a, to: b, peers: theirs}, &stream{from: b, to: a, peers: mine}
	mine.other, theirs.other = theirs, mine
	select {
	case b.calls <- theirs:
		return mine, nil
	case <-b.closed:
		return nil, errors.New("connection refused")
	}
}

func newEnd(local, remote *port, at uint16) *end {
	e := &end{local: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local.addr, at)),
		remote: net.TCPAddrFromAddrPort(netip.AddrPortFrom(remote.addr, simulated+40000-at))}
	e.came = sync.NewCond(&e.mu)
	return e
}

// Accept, Close and Addr make a port a net.Listener.
func (p *port) Accept() (net.Conn, error) {
	select {
	case c := <-p.calls:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *port) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.work.Broadcast()
	})
	return nil
}

func (p *port) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.addr, simulated))
}

// pass waits as long as bytes take on a link.
func (p *port) pass(bytes int) {
	time.Sleep(time.Duration(float64(bytes) / p.rate * float64(time.Second)))
}

// sends takes turns with the streams that have something to send.
func (p *port) sends() {
	for {
		p.mu.Lock()
		for len(p.turn) == 0 && !p.ended {
			p.work.Wait()
		}
		if p.ended {
			p.mu.Unlock()
			return
		}
		s := p.turn[0]
		p.turn = p.turn[1:]
		s.queued = false
		n := min(quantum, len(s.buf), window-s.onTheWay)
		data := s.buf[:n:n]
		s.buf = s.buf[n:]
		s.onTheWay += n
		c := parcel{s, data, s.end && len(s.buf) == 0}
		s.end = s.end && !c.last
		s.queue()
		bytes := c.bytes() + p.owed
		p.owed = 0
		p.sent += int64(bytes)
		p.use.up.add(bytes)
		p.mu.Unlock()
		p.work.Broadcast()
		p.pass(bytes)
		select {
		case s.to.down <- c:
		case <-s.to.closed:
		}
	}
}

// queue puts a stream in turn, if it may send something; the port's mu is held.
func (s *stream) queue() {
	if !s.queued && (len(s.buf) > 0 || s.end) && s.onTheWay < window {
		s.queued = true
		s.from.turn = append(s.from.turn, s)
	}
}

// receives delivers what comes, one after the other.
func (p *port) receives() {
	for {
		var c parcel
		select {
		case c = <-p.down:
		case <-p.closed:
			return
		}
		p.mu.Lock()
		p.use.down.add(c.bytes())
		p.mu.Unlock()
		p.pass(c.bytes())
		c.s.peers.deliver(c)
		p.mu.Lock()
		p.owed += framing * ((len(c.data) + 2*segment - 1) / (2 * segment))
		p.mu.Unlock()
		c.s.from.mu.Lock()
		c.s.onTheWay -= len(c.data)
		c.s.queue()
		c.s.from.mu.Unlock()
		c.s.from.work.Broadcast()
	}
}

func (e *end) deliver(c parcel) {
	e.mu.Lock()
	if len(c.data) > 0 {
		e.data = append(e.data, c.data)
	}
	e.closed = e.closed || c.last
	e.mu.Unlock()
	e.came.Broadcast()
}

// Read and the rest make an end a net.Conn.
func (e *end) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.data) == 0 && !e.closed {
		e.came.Wait()
	}
	if len(e.data) == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(b) && len(e.data) > 0 {
		k := copy(b[n:], e.data[0])
		n += k
		if e.data[0] = e.data[0][k:]; len(e.data[0]) == 0 {
			e.data = e.data[1:]
		}
	}
	return n, nil
}

func (e *end) Write(b []byte) (int, error) {
	s, p := e.out, e.out.from
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(s.buf) >= p.cloud.unsent && !s.shut && !p.ended {
		p.work.Wait()
	}
	if s.shut || p.ended {
		return 0, net.ErrClosed
	}
	s.buf = append(s.buf, b...)
	s.queue()
	p.work.Broadcast()
	return len(b), nil
}

// Close ends a connection. What was written still arrives; what the other writes does not.
func (e *end) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.came.Broadcast()
	for _, one := range []*end{e, e.other} {
		s, p := one.out, one.out.from
		p.mu.Lock()
		if one == e && !s.shut {
			s.end = true
			s.queue()
		}
		s.shut = true
		p.mu.Unlock()
		p.work.Broadcast()
	}
	return nil
}

func (e *end) LocalAddr() net.Addr              { return e.local }
func (e *end) RemoteAddr() net.Addr             { return e.remote }
func (e *end) SetDeadline(time.Time) error      { return nil }
func (e *end) SetReadDeadline(time.Time) error  { return nil }
func (e *end) SetWriteDeadline(time.Time) error { return nil }
