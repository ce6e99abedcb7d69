package natstest

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
)

// Deployed is a server as on a head: each user has its key and its own rights.
type Deployed struct {
	*broker.Broker
	keys string
}

// StartDeployed starts such a server, with all streams and buckets, that ends
// with the test.
func StartDeployed(t testing.TB) *Deployed {
	t.Helper()
	dir := t.TempDir()
	d := &Deployed{keys: filepath.Join(dir, "keys")}
	public, err := broker.Keys(d.keys)
	if err != nil {
		t.Fatal(err)
	}
	d.Broker, err = broker.Start(broker.Options{Listen: "127.0.0.1:0", Store: filepath.Join(dir, "store"), Public: public, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Shutdown)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := bus.Setup(ctx, d.Connect(t, "setup").JS, 1); err != nil {
		t.Fatal(err)
	}
	return d
}

// KeyFile returns the file with a user's key.
func (d *Deployed) KeyFile(user string) string { return broker.KeyFile(d.keys, user) }

// Connect returns a connection of a user with its rights.
func (d *Deployed) Connect(t testing.TB, user string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(bus.Options{URL: d.ClientURL(), User: user, KeyFile: d.KeyFile(user), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
