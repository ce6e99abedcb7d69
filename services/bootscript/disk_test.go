package bootscript

import (
	"fmt"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// TestFullDiskBootsNodesAndRefusesReports has no room for steps: nodes boot all
// the same, and a report is refused until there is room, so that the agent sends
// it again. What was taken is kept.
func TestFullDiskBootsNodesAndRefusesReports(t *testing.T) {
	disk := testenv.SmallDisk(t, "32m")
	srv := natstest.Start(t)
	r := furnishIn(t, disk.Dir, func(user string) *bus.Conn { return srv.Connect(t, user) })
	r.srv = srv
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	boot := word(r.armed(mac1, discovery), "luna.boot")
	say := func(n int) int {
		code, _ := r.report("node001", "", &bootscriptv1.Report{BootId: boot, Name: "install.unpack", State: bootscriptv1.State_STATE_OK,
			Id: fmt.Sprint(n), Error: strings.Repeat("x", 2000)})
		return code
	}
	disk.Fill(0)
	taken, refused := 0, false
	for n := 0; !refused && n < 500; n++ { // what room the file has is used up first
		switch code := say(n); code {
		case 200:
			taken++
		case 500, 503:
			refused = true
		default:
			t.Fatal(code)
		}
	}
	if !refused {
		t.Fatal("a full disk takes everything")
	}
	if code, script := r.get(discovery); code != 200 || word(script, "luna.boot") == "" {
		t.Errorf("a node does not boot: %d %s", code, script)
	}
	disk.Clear()
	if code := say(taken); code != 200 {
		t.Errorf("there is room again: %d", code)
	}
	r.until("all that was taken is in the stream", func() bool {
		show := ask(r, "boot", "show", &bootscriptv1.BootShowRequest{Node: "node001", BootId: boot}, &bootscriptv1.BootShowReply{})
		return strings.Count(names(show.Steps), "install.unpack") == taken+1 && r.messages(subject.Boots) >= uint64(taken+1)
	})
}
