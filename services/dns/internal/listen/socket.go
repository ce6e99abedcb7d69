package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/luna-hpc/luna/pkg/run"
)

// Handler answers questions.
type Handler interface {
	// Handler answers over TCP.
	dns.Handler
	// Datagram returns the answer to a question that came over UDP.
	Datagram(r *dns.Msg) *dns.Msg
}

// socket is the UDP and TCP server of one address.
type socket struct {
	udp   *datagrams
	tcp   *dns.Server
	ended sync.WaitGroup
	// failed is closed when a server ended by itself.
	failed chan struct{}
}

// open listens on an address. With port 0 TCP gets the port that UDP got.
func open(ctx context.Context, at netip.AddrPort, h Handler, log *slog.Logger) (*socket, netip.AddrPort, error) {
	pc, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return nil, at, run.TakenPort(err, at.String())
	}
	at = pc.LocalAddr().(*net.UDPAddr).AddrPort()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
	if err != nil {
		_ = pc.Close() // nothing was read from it
		return nil, at, run.TakenPort(err, at.String())
	}
	s := &socket{failed: make(chan struct{}), udp: &datagrams{conn: pc.(*net.UDPConn), answer: h.Datagram},
		tcp: &dns.Server{Listener: ln, Handler: h, MaxTCPQueries: 1024}}
	return s, at, s.start(at, log)
}

// payload is how long a query over UDP may be.
const payload = 4096

// start serves and waits until the TCP server does.
func (s *socket) start(at netip.AddrPort, log *slog.Logger) error {
	started := make(chan struct{})
	s.tcp.NotifyStartedFunc = func() { close(started) }
	var once sync.Once
	for _, serve := range []func() error{s.udp.serve, s.tcp.ActivateAndServe} {
		s.ended.Go(func() {
			if err := serve(); err != nil {
				log.Warn("stopped listening", "address", at, "err", err)
			}
			once.Do(func() { close(s.failed) })
		})
	}
	select {
	case <-started:
		return nil
	case <-s.failed:
		_ = s.close() // the other one has nothing to say either
		return fmt.Errorf("serve on %s: the server ended at once", at)
	}
}

// close stops both servers and waits for the answers that they are at.
func (s *socket) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err := errors.Join(s.udp.stop(), s.tcp.ShutdownContext(ctx))
	s.ended.Wait()
	return err
}
