package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

// retry is how soon a port that was taken is tried again.
const retry = 3 * time.Second

// Sockets is a task that listens on the interfaces of the plan.
type Sockets struct {
	Plan    func() *plan.Plan
	Rebuilt func() <-chan struct{}
	Handler Handler

	open map[key]*socket // of Run alone

	mu      sync.Mutex
	trouble error
	bound   []string
}

type key struct {
	index int
	name  string
	port  uint16
}

// Run opens and closes sockets until ctx ends.
func (s *Sockets) Run(ctx context.Context) error {
	s.open = map[key]*socket{}
	defer s.match(context.WithoutCancel(ctx), nil)
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		rebuilt := s.Rebuilt()
		s.match(ctx, s.Plan())
		select {
		case <-rebuilt:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// match makes the open sockets those of a plan; it may run any number of times.
func (s *Sockets) match(ctx context.Context, p *plan.Plan) {
	want := map[key]bool{}
	if p != nil {
		for _, port := range p.Ports {
			for _, number := range Ports {
				want[key{port.Index, port.Name, number}] = true
			}
		}
	}
	for k, sock := range s.open {
		if !want[k] || sock.dead() {
			s.shut(k)
		}
	}
	var errs []error
	for k := range want {
		if s.open[k] != nil {
			continue
		}
		sock, err := open(ctx, k.index, k.name, k.port, s.Handler)
		if err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %w", k.name, err))
			continue
		}
		s.open[k] = sock
		s.Handler.Log.Info("listening", "interface", k.name, "port", k.port)
	}
	s.note(errors.Join(errs...))
}

func (s *Sockets) note(trouble error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if trouble != nil && (s.trouble == nil || s.trouble.Error() != trouble.Error()) {
		s.Handler.Log.Warn("cannot listen, trying again", "err", trouble)
	}
	s.trouble, s.bound = trouble, nil
	for k := range s.open {
		s.bound = append(s.bound, fmt.Sprintf("%s:%d", k.name, k.port))
	}
	slices.Sort(s.bound)
}

func (s *Sockets) shut(k key) {
	if err := s.open[k].close(); err != nil {
		s.Handler.Log.Warn("socket did not close well", "interface", k.name, "port", k.port, "err", err)
	}
	delete(s.open, k)
	s.Handler.Log.Info("stopped listening", "interface", k.name, "port", k.port)
}

func (s *socket) dead() bool {
	select {
	case <-s.failed:
		return true
	default:
		return false
	}
}

// Bound returns where the sockets are, as eth0:67.
func (s *Sockets) Bound() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound
}

// Ready is nil when every interface of the plan is listened on. A port that is
// taken names the process that has it.
func (s *Sockets) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// String returns "sockets".
func (s *Sockets) String() string { return "sockets" }
