package fleet

import (
	"log/slog"
	"net"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/services/integration/room"
)

// server is the head's NATS server, seen from its namespace.
const server = "127.0.0.1:4222"

// Connect connects to the head's NATS server as a user of the bus.
func (h *Head) Connect(user string) (*nats.Conn, error) {
	return Connect(h.ns, user, broker.KeyFile(h.etc("keys"), user))
}

// Connect connects to the NATS server in a namespace as the user of the bus whose key is in a file. It waits for a
// server that is about to start.
func Connect(ns *room.Namespace, user, key string) (*nats.Conn, error) {
	opt, err := nats.NkeyOptionFromSeed(key)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		conn, err := nats.Connect("nats://"+server, opt, nats.SetCustomDialer(dialer{ns}), nats.CustomInboxPrefix("_INBOX_"+user), nats.MaxReconnects(-1))
		if err == nil || time.Now().After(end) {
			return conn, err
		}
	}
}

// Bus connects to the head's bus as a user, as services and the command line do.
func (h *Head) Bus(user string) (*bus.Conn, error) {
	return bus.Connect(bus.Options{InProcess: dialer{h.ns}, User: user, KeyFile: broker.KeyFile(h.etc("keys"), user), Log: slog.New(slog.DiscardHandler)})
}

// dialer dials from inside a namespace.
type dialer struct{ ns *room.Namespace }

func (d dialer) Dial(network, address string) (conn net.Conn, err error) {
	err = d.ns.Do(func() error {
		conn, err = (&net.Dialer{Timeout: 5 * time.Second}).Dial(network, address)
		return err
	})
	return conn, err
}

// InProcessConn dials the server.
func (d dialer) InProcessConn() (net.Conn, error) { return d.Dial("tcp", server) }
