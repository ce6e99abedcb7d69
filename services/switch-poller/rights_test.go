package switchpoller

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
)

// TestWorksWithItsOwnRights runs the service and all whom it meets with no
// more rights than they have on a head.
func TestWorksWithItsOwnRights(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	public, err := broker.Keys(keys)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := broker.Start(broker.Options{Listen: "127.0.0.1:0", Store: filepath.Join(dir, "store"), Public: public, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	connect := func(user string) *bus.Conn {
		c, err := bus.Connect(bus.Options{URL: srv.ClientURL(), User: user, KeyFile: broker.KeyFile(keys, user), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := bus.Setup(ctx, connect("setup").JS, 1); err != nil {
		t.Fatal(err)
	}
	conn, port := free(t)
	h := furnish(t, port, connect)
	h.brisk()
	s := furnished()
	s.Serve(t, conn)
	s.Learn(10, mac(1), 5, 3)
	h.addSwitch("sw1", "127.0.0.1")
	h.start()
	h.until("the MAC is listed", func() bool { return strings.HasPrefix(h.rows()["sw1 52:54:00:00:00:01"], "ge7/5/[10]") })
	h.until("the switch is listed", func() bool { return h.polled()["sw1"].GetMacs() == 1 })
	stream, err := h.other.JS.Stream(ctx, subject.Seen)
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := stream.GetLastMsgForSubject(ctx, subject.SwitchMAC("id-sw1", mac(1).Hex())); err != nil || msg.Header.Get("Nats-TTL") == "" {
		t.Errorf("%v %v", msg, err)
	}
}
