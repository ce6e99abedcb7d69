package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/dhcp/internal/exchange"
	"github.com/luna-hpc/luna/services/dhcp/internal/lease"
)

// Ports that DHCP is asked on.
var Ports = []uint16{67, exchange.ProxyPort}

// Handler is what sockets do with packets.
type Handler struct {
	Answer func(exchange.In) (exchange.Out, bool)
	// Keep writes leases to disk.
	Keep func([]lease.Lease) error
	// Exchanged is told of iPXE's exchanges, before the answer goes out.
	Exchanged func(exchange.Exchanged)
	// Busy is told of a packet that is dropped because the disk is behind; the
	// client asks again.
	Busy func()
	Log  *slog.Logger
}

// writers is how many leases of one socket may be on their way to the disk.
const writers = 512

// socket receives on one port of one interface.
type socket struct {
	Handler
	index  int
	port   uint16
	conn   *net.UDPConn
	frames *frames
	slots  chan struct{}
	work   sync.WaitGroup
	failed chan struct{}
}

// open binds a port on one interface, so that other daemons can have it on theirs.
func open(ctx context.Context, index int, name string, port uint16, h Handler) (*socket, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return bind(c, name) }}
	at := fmt.Sprintf("0.0.0.0:%d", port)
	pc, err := lc.ListenPacket(ctx, "udp4", at)
	if err != nil {
		return nil, run.TakenPort(err, at)
	}
	conn := pc.(*net.UDPConn)
	f, err := openFrames(index)
	if err != nil {
		_ = conn.Close() // nothing was read from it
		return nil, err
	}
	_ = conn.SetReadBuffer(4 << 20) // a burst of a whole room; the default does too
	s := &socket{Handler: h, index: index, port: port, conn: conn, frames: f, slots: make(chan struct{}, writers), failed: make(chan struct{})}
	s.work.Add(1)
	go s.receive()
	return s, nil
}

func bind(c syscall.RawConn, name string) error {
	var errs []error
	err := c.Control(func(fd uintptr) {
		errs = append(errs, unix.BindToDevice(int(fd), name), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
	})
	return errors.Join(append(errs, err)...)
}

// largest is longer than any Ethernet frame carries.
const largest = 9216

// receive answers packets until the socket is closed.
func (s *socket) receive() {
	defer s.work.Done()
	defer close(s.failed)
	buf := make([]byte, largest)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.Log.Warn("cannot receive", "port", s.port, "err", err)
			return
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		out, ok := s.answer(exchange.In{Link: s.index, Port: s.port, From: from, Data: buf[:n]})
		if len(out.Keep) > 0 {
			s.keepThenSend(out, ok)
		} else if ok {
			s.send(out)
		}
	}
}

// answer decides on a packet; what it makes panic is dropped, not the server.
func (s *socket) answer(in exchange.In) (out exchange.Out, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("packet could not be handled", "from", in.From, "panic", p)
			ok = false
		}
	}()
	return s.Answer(in)
}

// keepThenSend answers after the leases are on disk; many go there at once.
func (s *socket) keepThenSend(out exchange.Out, send bool) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.Busy() // nodes, whose answers need no disk, must not wait here
		return
	}
	s.work.Add(1)
	go func() {
		defer func() { <-s.slots; s.work.Done() }()
		if err := s.Keep(out.Keep); err != nil {
			s.Log.Error("lease is not given: it cannot be kept", "err", err)
			return
		}
		if send {
			s.send(out)
		}
	}()
}

func (s *socket) send(out exchange.Out) {
	if out.IPXE != nil {
		s.Exchanged(*out.IPXE)
	}
	var err error
	if out.Hardware != nil {
		err = s.frames.send(out.Hardware, netip.AddrPortFrom(out.Source, s.port), out.To, out.Data)
	} else {
		cm := ipv4.ControlMessage{Src: out.Source.AsSlice(), IfIndex: s.index}
		_, _, err = s.conn.WriteMsgUDPAddrPort(out.Data, cm.Marshal(), out.To)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.Log.Warn("answer is not sent", "to", out.To, "err", err)
	}
}

// close stops receiving and waits for the answers under way.
func (s *socket) close() error {
	err := s.conn.Close()
	s.work.Wait()
	return errors.Join(err, s.frames.close())
}
