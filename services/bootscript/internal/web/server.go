// Package web answers booting nodes over HTTP.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/run"
)

// relisten is how long a taken port is left alone.
const relisten = 2 * time.Second

// Server listens on the port that the cluster says, and moves when it changes.
type Server struct {
	// Host is the address to listen on; all when empty.
	Host string
	// Port returns the port now, and a channel that is closed when it may have changed.
	Port    func() (uint16, <-chan struct{})
	Handler http.Handler
	Log     *slog.Logger

	mu  sync.Mutex
	why error
	up  bool
}

// Run serves until ctx ends. While the port is taken it tries again and Ready
// tells who has it.
func (s *Server) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		port, _ := s.Port()
		addr := net.JoinHostPort(s.Host, strconv.Itoa(int(port)))
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			s.note(run.TakenPort(err, addr))
			select {
			case <-ctx.Done():
			case <-time.After(relisten):
			}
			continue
		}
		s.note(nil)
		if err := s.until(ctx, ln, port); err != nil {
			return err
		}
	}
	return nil
}

// until serves on a listener while the port stays.
func (s *Server) until(ctx context.Context, ln net.Listener, port uint16) error {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer cancel()
		s.watch(ctx, port)
	}()
	defer func() { cancel(); <-watched }()
	return s.Serve(ctx, ln)
}

func (s *Server) watch(ctx context.Context, port uint16) {
	for {
		now, changed := s.Port()
		if now != port {
			s.Log.Info("port of the boot service changes", "from", port, "to", now)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// Serve serves on a listener until ctx ends, then gives open requests five seconds.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	return run.Serve(ctx, ln, &http.Server{
		Handler: s.Handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	})
}

func (s *Server) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && (s.why == nil || s.why.Error() != err.Error()) {
		s.Log.Error("HTTP does not listen", "err", err)
	}
	s.why, s.up = err, err == nil
}

// Ready says whether the server listens.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up && s.why == nil {
		return errors.New("does not listen yet")
	}
	return s.why
}

// String returns "http".
func (s *Server) String() string { return "http" }
