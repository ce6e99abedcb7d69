package switchpoller

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
)

// TestWorksWithItsOwnRights runs the service and all whom it meets with no
// more rights than they have on a head.
func TestWorksWithItsOwnRights(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	srv := natstest.StartDeployed(t)
	connect := func(user string) *bus.Conn { return srv.Connect(t, user) }
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
