// Package bus connects services with NATS: connections, streams, rights,
// commands and events.
package bus

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/luna-hpc/luna/pkg/subject"
)

// Options says how to connect.
type Options struct {
	// URL of the servers, several with commas; unused with InProcess.
	URL string
	// InProcess is an embedded server to connect to without a socket.
	InProcess nats.InProcessConnProvider
	// User names the connection and its inbox prefix.
	User string
	// KeyFile holds the user's nkey seed; empty means no authentication.
	KeyFile string
	Log     *slog.Logger
}

// Conn is a connection to the bus that never gives up.
type Conn struct {
	NATS *nats.Conn
	JS   jetstream.JetStream
	User string

	log     *slog.Logger
	mu      sync.Mutex
	changed chan struct{}
}

// Connect returns a connection at once, also when no server answers yet. It
// reconnects for ever and publishes nothing while it is disconnected: what must
// go out later goes through an outbox.
func Connect(o Options) (*Conn, error) {
	c := &Conn{User: o.User, log: o.Log, changed: make(chan struct{})}
	opts := []nats.Option{
		nats.Name("luna-" + o.User),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(200*time.Millisecond, 200*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(5 * time.Second),
		nats.CustomInboxPrefix(subject.Inbox(o.User)),
		nats.ConnectHandler(func(*nats.Conn) { c.noteChange("bus connected") }),
		nats.ReconnectHandler(func(*nats.Conn) { c.noteChange("bus connected again") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.noteLoss(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) { c.noteError(s, err) }),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.KeyFile != "" {
		opt, err := keyOption(o.KeyFile)
		if err != nil {
			return nil, err
		}
		opts = append(opts, opt)
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the bus at %s: %w", o.URL, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	c.NATS, c.JS = nc, js
	return c, nil
}

func keyOption(file string) (nats.Option, error) {
	seed, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the key of the bus user: %w", err)
	}
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return nil, fmt.Errorf("key file %s holds no nkey seed: %w", file, err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", file, err)
	}
	return nats.Nkey(public, pair.Sign), nil
}

// Close ends the connection.
func (c *Conn) Close() { c.NATS.Close() }

// Up reports whether a server is there.
func (c *Conn) Up() error {
	if c.NATS.IsConnected() {
		return nil
	}
	if err := c.NATS.LastError(); err != nil {
		return fmt.Errorf("bus: not connected: %w", err)
	}
	return fmt.Errorf("bus: not connected to %s", c.NATS.Opts.Url)
}

// Connected is closed at the next time that the bus is connected anew.
func (c *Conn) Connected() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *Conn) noteChange(what string) {
	c.log.Info(what)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Conn) noteLoss(err error) {
	if err != nil {
		c.log.Warn("bus lost", "err", err)
	}
}

func (c *Conn) noteError(s *nats.Subscription, err error) {
	if s != nil {
		c.log.Warn("bus error", "subject", s.Subject, "err", err)
		return
	}
	c.log.Warn("bus error", "err", err)
}
