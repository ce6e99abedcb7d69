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

// Broker is an embedded server; a run.Task.
type Broker struct {
	*server.Server
	log *slog.Logger
	// cfg is what JetStream is started with.
	cfg server.JetStreamConfig

	mu    sync.Mutex
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
	srv, err := server.NewServer(&server.Options{
		ServerName: "luna", Host: host, Port: port, NoSigs: true, MaxPayload: MaxPayload,
		JetStream: true, StoreDir: o.Store, SyncAlways: true,
		JetStreamLimits: server.JSLimitOpts{MaxBatchSize: bus.MaxBatch},
		Nkeys:           users(o.Public),
	})
	if err != nil {
		return nil, fmt.Errorf("configure the bus: %w", err)
	}
	srv.SetLoggerV2(logger{o.Log.With("service", "nats")}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		srv.Shutdown()
		return nil, errors.New("the bus does not take connections")
	}
	b := &Broker{Server: srv, log: o.Log.With("service", "nats"), cfg: *srv.JetStreamConfig()}
	b.cfg.StoreDir = o.Store // without what the server adds
	return b, nil
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
	b.WaitForShutdown()
	return nil
}

// Ready reports whether the server takes connections and can store.
func (b *Broker) Ready() error {
	if !b.Running() {
		return errors.New("the server does not take connections")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stuck != nil {
		return fmt.Errorf("it cannot store; make room on the disk of %s: %w", b.cfg.StoreDir, b.stuck)
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
