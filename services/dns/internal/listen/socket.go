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

// socket is the UDP and TCP server of one address.
type socket struct {
	servers []*dns.Server
	ended   sync.WaitGroup
	// failed is closed when a server ended by itself.
	failed chan struct{}
}

// open listens on an address. With port 0 TCP gets the port that UDP got.
func open(ctx context.Context, at netip.AddrPort, h dns.Handler, log *slog.Logger) (*socket, netip.AddrPort, error) {
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
	s := &socket{failed: make(chan struct{}), servers: []*dns.Server{
		{PacketConn: pc, Handler: h, UDPSize: payload}, {Listener: ln, Handler: h, MaxTCPQueries: 1024},
	}}
	return s, at, s.start(at, log)
}

// payload is how long a query over UDP may be.
const payload = 4096

// start serves and waits until both servers do.
func (s *socket) start(at netip.AddrPort, log *slog.Logger) error {
	var once sync.Once
	for _, srv := range s.servers {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		s.ended.Add(1)
		go func() {
			defer s.ended.Done()
			if err := srv.ActivateAndServe(); err != nil {
				log.Warn("stopped listening", "address", at, "err", err)
			}
			once.Do(func() { close(s.failed) })
		}()
		select {
		case <-started:
		case <-s.failed:
			s.close()
			return fmt.Errorf("serve on %s: the server ended at once", at)
		}
	}
	return nil
}

// close stops both servers and waits for the answers that they are at.
func (s *socket) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.ShutdownContext(ctx))
	}
	s.ended.Wait()
	return errors.Join(errs...)
}
