package broker_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

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
	if err := os.WriteFile(filepath.Join(dir, "cluster.conf"), []byte(broker.ServerConf()), 0o600); err != nil {
		t.Fatal(err)
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
	readers := map[string]bool{"setup": true, "bootscript": true, "power": true, "switch-poller": true}
	for _, r := range bus.Rights() {
		for what, read := range map[string]func(context.Context, *bus.Conn) error{
			"direct": func(ctx context.Context, c *bus.Conn) error {
				_, err := c.NATS.RequestWithContext(ctx, "$JS.API.DIRECT.GET.SECRETS."+subject.Secret("s1"), nil)
				return err
			},
			"last": func(ctx context.Context, c *bus.Conn) error {
				_, err := c.NATS.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.SECRETS", []byte(`{"seq":1}`))
				return err
			},
			"consumer": func(ctx context.Context, c *bus.Conn) error {
				_, err := c.NATS.RequestWithContext(ctx, "$JS.API.CONSUMER.CREATE.SECRETS.c1", []byte(`{"stream_name":"SECRETS","config":{"name":"c1","mem_storage":true}}`))
				return err
			},
		} {
			wait := 10 * time.Second
			if !readers[r.User] {
				wait = 300 * time.Millisecond
			}
			try, cancel := context.WithTimeout(ctx, wait)
			err := read(try, connect(t, url, keys, r.User))
			cancel()
			if (err == nil) != readers[r.User] {
				t.Errorf("%s, %s: %v", r.User, what, err)
			}
		}
	}
}

// TestLackedRightsAreRefused tries, as every user, all that another user may do and it may not.
func TestLackedRightsAreRefused(t *testing.T) {
	url, keys := deployed(t)
	var publish, subscribe []string
	for _, r := range bus.Rights() {
		publish, subscribe = append(publish, r.Publish...), append(subscribe, r.Subscribe...)
	}
	for _, r := range bus.Rights() {
		t.Run(r.User, func(t *testing.T) {
			opt, err := nats.NkeyOptionFromSeed(broker.KeyFile(keys, r.User))
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var said strings.Builder
			nc, err := nats.Connect(url, opt, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(&said, strings.ToLower(err.Error()))
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			var want []string
			for _, s := range lacked(publish, r.Publish) {
				want = append(want, `publish to "`+strings.ToLower(s)+`"`)
				if err := nc.Publish(s, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range lacked(subscribe, r.Subscribe) {
				want = append(want, `subscription to "`+strings.ToLower(s)+`"`)
				if _, err := nc.SubscribeSync(s); err != nil {
					t.Fatal(err)
				}
			}
			if len(want) == 0 && r.User != "setup" {
				t.Fatal("nothing was tried")
			}
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				mu.Lock()
				text := said.String()
				mu.Unlock()
				missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool { return strings.Contains(text, w) })
				if len(missing) == 0 {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("not refused: %q", missing)
				}
			}
		})
	}
}

// lacked returns a subject of each pattern that none of the others covers.
func lacked(all, have []string) []string {
	var lack []string
	for _, p := range all {
		s := strings.NewReplacer("*", "x", ">", "x.y").Replace(p)
		if !slices.ContainsFunc(have, func(h string) bool { return server.SubjectsCollide(h, s) }) && !slices.Contains(lack, s) {
			lack = append(lack, s)
		}
	}
	return lack
}
