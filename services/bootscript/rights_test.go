package bootscript

import (
	"net/http"
	"testing"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// TestWorksWithItsOwnRights runs the service and all whom it meets with no
// more rights than they have on a head.
func TestWorksWithItsOwnRights(t *testing.T) {
	srv := natstest.StartDeployed(t)
	connect := func(user string) *bus.Conn { return srv.Connect(t, user) }
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
