// Package natstest runs a real JetStream server inside a test.
package natstest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/luna-hpc/luna/pkg/bus"
)

// Server is a server without ports, with all streams and buckets.
type Server struct {
	dir string
	// synced says that every message is synced to disk, as on a head.
	synced bool

	mu  sync.Mutex
	srv *server.Server
}

// Store is the directory of the server's files; touch it only while the server is stopped.
func (s *Server) Store() string { return s.dir }

// InProcessConn connects to the server that runs just now.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.srv.InProcessConn()
}

// Stop stops the server; its files stay.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := StartEmpty(t)
	s.setUp(t)
	return s
}

// setUp makes all streams and buckets.
func (s *Server) setUp(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := bus.Setup(ctx, s.Connect(t, "setup").JS, 1); err != nil {
		t.Fatal(err)
	}
}

// StartEmpty starts a server that has no streams yet.
func StartEmpty(t testing.TB) *Server {
	t.Helper()
	s := &Server{dir: t.TempDir()}
	s.start(t)
	t.Cleanup(s.Stop)
	return s
}

// StartOn starts a server with all streams that keeps its files in a directory
// and syncs every message, as that of a head does.
func StartOn(t testing.TB, dir string) *Server {
	t.Helper()
	s := &Server{dir: dir, synced: true}
	s.start(t)
	t.Cleanup(s.Stop)
	s.setUp(t)
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	opts := &server.Options{DontListen: true, JetStream: true, StoreDir: s.dir, NoSigs: true, SyncAlways: s.synced,
		JetStreamLimits: server.JSLimitOpts{MaxBatchSize: bus.MaxBatch}}
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats server is not ready")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.srv = srv
}

// Connect returns a connection of a user; all users have all rights here.
func (s *Server) Connect(t testing.TB, user string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(bus.Options{InProcess: s, User: user, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Restart stops the server and starts it again on its files.
func (s *Server) Restart(t testing.TB, while func()) {
	t.Helper()
	s.Stop()
	if while != nil {
		while()
	}
	s.start(t)
}
