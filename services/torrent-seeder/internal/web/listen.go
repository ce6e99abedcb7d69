package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/run"
)

// retry is how long a taken port waits before it is tried again.
const retry = 3 * time.Second

// Listener is a task that serves HTTP on a port that may change.
type Listener struct {
	// Addr is the address; the zero address is all.
	Addr netip.Addr
	// Port returns the port, and a channel that is closed when it may have changed.
	Port    func() (uint16, <-chan struct{})
	Handler http.Handler
	Log     *slog.Logger

	mu     sync.Mutex
	failed error
}

// Run serves until ctx ends. A taken port is tried again.
func (l *Listener) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		port, changed := l.Port()
		err := l.serve(ctx, port, changed)
		l.note(err)
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(retry):
		}
	}
	return nil
}

// serve serves on one port until ctx ends or another port is wanted.
func (l *Listener) serve(ctx context.Context, port uint16, changed <-chan struct{}) error {
	host := ""
	if l.Addr.IsValid() {
		host = l.Addr.String()
	}
	at := net.JoinHostPort(host, strconv.Itoa(int(port)))
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
	if err != nil {
		return run.TakenPort(err, at)
	}
	l.note(nil)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-changed:
				var now uint16
				if now, changed = l.Port(); now != port {
					cancel()
				}
			}
		}
	})
	return run.ServeHTTP(ctx, ln, l.Handler, l.Log)
}

func (l *Listener) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && (l.failed == nil || l.failed.Error() != err.Error()) {
		l.Log.Error("HTTP is not served", "err", err)
	}
	l.failed = err
}

// Ready says who has the port.
func (l *Listener) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// String returns "http".
func (l *Listener) String() string { return "http" }
