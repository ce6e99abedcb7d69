package bootscript

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
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
	r := furnish(t, connect)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	bound := r.inventory(r.node("node003", "127.0.0.3", ""))
	path := "/luna?step=discovery&hwdata=PC|" + mac2
	r.get(path) // unknown
	script := r.armed(mac2, path+"&node=node003")
	if got := <-bound; got.GetMac() != mac2 {
		t.Fatal(got)
	}
	r.took(r.hardware(http.DefaultClient, "node003", word(script, "luna.token"), machine(word(script, "luna.boot"), 64)))
	r.is("node003", 64)
	ask(r, "boot", "why", &bootscriptv1.BootWhyRequest{Node: "node003"}, &bootscriptv1.BootWhyReply{})
	r.until("all is in the streams", func() bool {
		return r.messages(subject.Boots) == r.steps("node003") && r.messages(subject.Seen) == 1 && r.messages(subject.Hardware) == 1
	})
}
