package bootscript

import (
	"testing"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// another is a second head on the bus of the first, with the same key of the secrets.
func (r *room) another() *room {
	b := *r
	b.name, b.address, b.data = "head2", "127.0.0.2", r.t.TempDir()
	b.start()
	return &b
}

// TestATokenIsGoodAtAnotherHeadWhileTheBusIsDead has a boot begin at one head
// and go on at another when neither can ask anybody, after both were restarted.
func TestATokenIsGoodAtAnotherHeadWhileTheBusIsDead(t *testing.T) {
	a := newRoom(t)
	a.release("kernel", "initrd", "torrent", "manifest")
	a.node("node002", "127.0.0.9", mac2) // not this machine: only a token counts
	b := a.another()
	for _, head := range []*room{a, b} {
		head.here("/boot/compute-vmlinuz-6.1.0-9")
		head.until("node002 is known", func() bool { code, _ := head.get("/luna?step=install&node=node002"); return code == 200 })
	}
	say := func(head *room, token, id, name string) int {
		t.Helper()
		code, _ := head.report("node002", token, &bootscriptv1.Report{Name: name, State: bootscriptv1.State_STATE_OK, Id: id})
		return code
	}
	a.srv.Restart(t, func() {
		for _, head := range []*room{a, b} {
			head.stop()
			head.startDead()
		}
		token := word(a.armed(mac2, "/luna?step=discovery&hwdata=|"+mac2), "luna.token")
		for name, word := range map[string]string{"no token": "", "half a token": token[:len(token)-4], "a made-up one": "x." + token} {
			if code := say(b, word, "a", "agent.start"); code != 403 {
				t.Errorf("%s: %d", name, code)
			}
		}
		if code := say(b, token, "b", "agent.start"); code != 200 {
			t.Errorf("the other head refuses the token: %d", code)
		}
		if code := say(a, token, "c", "install.prescript"); code != 200 {
			t.Errorf("its own head refuses the token: %d", code)
		}
		if code := say(b, token, "d", "install.success"); code != 200 {
			t.Errorf("the other head refuses the end: %d", code)
		}
		if code := say(b, token, "e", "agent.start"); code != 403 {
			t.Errorf("the token outlives the boot's end at the head that knows of it: %d", code)
		}
	})
	a.until("the bus is back", func() bool {
		_, err := bus.Request(within(t), a.other, subject.Command("bootscript", "boot", "list"), &bootscriptv1.BootListRequest{}, &bootscriptv1.BootListReply{})
		return err == nil
	})
	a.until("all steps are in the stream", func() bool { return a.messages(subject.Boots) == 5 })
	a.until("all steps are told", func() bool { return len(a.show("node002").Steps) == 5 })
}
