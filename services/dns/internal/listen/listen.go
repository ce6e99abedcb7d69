// Package listen keeps DNS sockets open on the head's own addresses, never on
// the wildcard, so that others can have port 53 on the rest.
package listen

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
)

// look is how often the host's addresses are looked at.
const look = 3 * time.Second

// Sockets is a task that listens where it should.
type Sockets struct {
	// Want returns the addresses to listen on, and whether there is a cluster at all.
	Want func() (addrs []netip.Addr, ok bool, err error)
	// Changed returns a channel that closes when Want may say something else.
	Changed func() <-chan struct{}
	Port    uint16
	Handler Handler
	Log     *slog.Logger

	mu      sync.Mutex
	trouble map[netip.Addr]error
	idle    error
	bound   []netip.AddrPort
	settled chan struct{}
	open    map[netip.Addr]*socket // of Run alone
}

// Run opens and closes sockets until ctx ends.
func (s *Sockets) Run(ctx context.Context) error {
	s.open = map[netip.Addr]*socket{}
	defer s.closeAll()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		changed := s.Changed()
		s.match(ctx)
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// match makes the open sockets those that are wanted; it may run any number of times.
func (s *Sockets) match(ctx context.Context) {
	want, cluster, err := s.Want()
	if err == nil && cluster && len(want) == 0 {
		err = fault.Unavailablef("no address of this host lies in a network of the cluster")
	}
	for addr, sock := range s.open {
		if !slices.Contains(want, addr) || sock.dead() {
			s.shut(addr)
		}
	}
	trouble := map[netip.Addr]error{}
	for _, addr := range want {
		if s.open[addr] != nil {
			continue
		}
		if err := s.listen(ctx, addr); err != nil {
			trouble[addr] = err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, err := range trouble {
		if old := s.trouble[addr]; old == nil || old.Error() != err.Error() {
			s.Log.Warn("cannot listen, trying again", "address", addr, "err", err)
		}
	}
	s.trouble, s.idle = trouble, err
	if s.settled != nil {
		close(s.settled)
		s.settled = nil
	}
}

func (s *socket) dead() bool {
	select {
	case <-s.failed:
		return true
	default:
		return false
	}
}

func (s *Sockets) listen(ctx context.Context, addr netip.Addr) error {
	sock, at, err := open(ctx, netip.AddrPortFrom(addr, s.Port), s.Handler, s.Log)
	if err != nil {
		return err
	}
	s.open[addr] = sock
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = append(s.bound, at)
	s.Log.Info("listening", "address", at)
	return nil
}

func (s *Sockets) shut(addr netip.Addr) {
	if err := s.open[addr].close(); err != nil {
		s.Log.Warn("socket did not close well", "address", addr, "err", err)
	}
	delete(s.open, addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = slices.DeleteFunc(s.bound, func(b netip.AddrPort) bool { return b.Addr() == addr })
	s.Log.Info("stopped listening", "address", addr)
}

func (s *Sockets) closeAll() {
	for addr := range s.open {
		s.shut(addr)
	}
}

// Bound returns where the sockets are.
func (s *Sockets) Bound() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bound)
}

// Settled is closed when Run has next made sockets match.
func (s *Sockets) Settled() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled == nil {
		s.settled = make(chan struct{})
	}
	return s.settled
}

// Ready is nil when every wanted address is listened on; there are none before
// `luna cluster init`. A port that is taken names the process that has it.
func (s *Sockets) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.idle}
	for _, err := range s.trouble {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// String returns "sockets".
func (s *Sockets) String() string { return "sockets" }
