package broker_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// deployed starts a server with the configuration in deploy/, on a free port.
func deployed(t *testing.T) (url, keys string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"nats.conf", "rights.conf"} {
		data, err := os.ReadFile(filepath.Join("../../deploy/nats", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys = filepath.Join(dir, "keys")
	public, err := broker.Keys(keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys.conf"), []byte(broker.KeysConf(public)), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	opts.Port, opts.StoreDir, opts.NoSigs = server.RANDOM_PORT, filepath.Join(dir, "store"), true
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("not ready")
	}
	return srv.ClientURL(), keys
}

func connect(t *testing.T, url, keys, user string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(bus.Options{URL: url, User: user, KeyFile: broker.KeyFile(keys, user), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestDeployedRightsAreTheOnesInCode(t *testing.T) {
	got, err := os.ReadFile("../../deploy/nats/rights.conf")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != broker.RightsConf() {
		t.Fatal("deploy/nats/rights.conf is not what pkg/bus/rights.go says; run `make rights`")
	}
}

func TestSetupMakesTheStreamsAndNobodyElseDoes(t *testing.T) {
	url, keys := deployed(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := bus.Setup(ctx, connect(t, url, keys, "setup").JS, 1); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if bus.Setup(short, connect(t, url, keys, "dhcp").JS, 1) == nil {
		t.Fatal("dhcp could make streams")
	}
}

func TestSecretsAreReadByTheirReadersOnly(t *testing.T) {
	url, keys := deployed(t)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := bus.Setup(ctx, connect(t, url, keys, "setup").JS, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, url, keys, "inventory").JS.Publish(ctx, subject.Secret("s1"), []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	readers := map[string]bool{"bootscript": true, "power": true, "switch-poller": true}
	for _, r := range bus.Rights() {
		if r.User == "setup" {
			continue
		}
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := connect(t, url, keys, r.User).JS.Stream(try, subject.Secrets)
		cancel()
		if (err == nil) != readers[r.User] {
			t.Errorf("%s: %v", r.User, err)
		}
	}
}
