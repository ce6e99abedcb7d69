package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/run"
)

// MaxPayload is the largest message of the bus, in bytes.
const MaxPayload = 8 << 20

// Options says how to run the server.
type Options struct {
	// Listen is its address, as 127.0.0.1:4222; port 0 is any free one.
	Listen string
	// Store is the directory of JetStream.
	Store string
	// Public holds the public nkey of every user, from Keys.
	Public map[string]string
	Log    *slog.Logger
}

// Broker is an embedded server; a run.Task, and a provider of connections
// within the process. Connections made by it come again when it starts anew.
type Broker struct {
	opt Options
	// host and port are where it listens, at every start.
	host string
	port int
	log  *slog.Logger

	mu    sync.Mutex
	srv   *server.Server
	stuck error // why it cannot store
}

// Start starts the server and waits until it takes connections.
func Start(o Options) (*Broker, error) {
	host, portText, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("address of the bus %q: %w", o.Listen, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("address of the bus %q: %w", o.Listen, err)
	}
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, run.TakenPort(err, o.Listen)
	}
	if err := ln.Close(); err != nil {
		return nil, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	b := &Broker{opt: o, host: host, port: port, log: o.Log.With("service", "nats")}
	if b.srv, err = b.start(); err != nil {
		return nil, err
	}
	if at, ok := b.srv.Addr().(*net.TCPAddr); ok {
		b.port = at.Port
	}
	return b, nil
}

// start starts a server on the broker's files.
func (b *Broker) start() (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "luna", Host: b.host, Port: b.port, NoSigs: true, MaxPayload: MaxPayload,
		JetStream: true, StoreDir: b.opt.Store, SyncAlways: true,
		JetStreamLimits: server.JSLimitOpts{MaxBatchSize: bus.MaxBatch},
		Nkeys:           users(b.opt.Public),
	})
	if err != nil {
		return nil, fmt.Errorf("configure the bus: %w", err)
	}
	srv.SetLoggerV2(logger{b.log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		srv.Shutdown()
		return nil, errors.New("the bus does not take connections")
	}
	return srv, nil
}

// server returns the server that runs now.
func (b *Broker) server() *server.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.srv
}

// InProcessConn connects to the server without a socket.
func (b *Broker) InProcessConn() (net.Conn, error) { return b.server().InProcessConn() }

// ClientURL returns the URL to connect to.
func (b *Broker) ClientURL() string { return b.server().ClientURL() }

// Shutdown stops the server and waits until it has.
func (b *Broker) Shutdown() {
	srv := b.server()
	srv.Shutdown()
	srv.WaitForShutdown()
}

// Run mends what a full disk does to the server until ctx ends, then stops it.
func (b *Broker) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(look):
			b.heal()
		}
	}
	b.Shutdown()
	return nil
}

// Ready reports whether the server takes connections and can store.
func (b *Broker) Ready() error {
	if !b.server().Running() {
		return errors.New("the server does not take connections")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stuck != nil {
		return fmt.Errorf("it cannot store; make room on the disk of %s: %w", b.opt.Store, b.stuck)
	}
	return nil
}

// String returns "nats".
func (b *Broker) String() string { return "nats" }

// logger passes the server's messages on: its notices are details for us.
type logger struct{ log *slog.Logger }

func (l logger) Noticef(f string, a ...any) { l.log.Debug(fmt.Sprintf(f, a...)) }
func (l logger) Warnf(f string, a ...any)   { l.log.Warn(fmt.Sprintf(f, a...)) }
func (l logger) Fatalf(f string, a ...any)  { l.log.Error(fmt.Sprintf(f, a...)) }
func (l logger) Errorf(f string, a ...any)  { l.log.Error(fmt.Sprintf(f, a...)) }
func (l logger) Debugf(f string, a ...any)  { l.log.Debug(fmt.Sprintf(f, a...)) }
func (l logger) Tracef(f string, a ...any)  { l.log.Debug(fmt.Sprintf(f, a...)) }
