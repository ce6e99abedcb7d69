package imagepacker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// TestWorkIsSentToTheHeadWithTheDirectory asks two heads, whichever takes the command: only one
// of them has the image.
func TestWorkIsSentToTheHeadWithTheDirectory(t *testing.T) {
	r := newRoom(t, t.TempDir())
	r.pack()
	r.start("other", t.TempDir())
	for range 20 {
		if err := r.rollback(); !strings.Contains(err.Error(), "no release before its current one") {
			t.Fatal(err)
		}
	}
}

func TestHeadThatIsAwayIsNamed(t *testing.T) {
	r := newRoom(t, t.TempDir())
	r.pack()
	r.start("other", t.TempDir())
	r.stop()
	err := r.rollback()
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "osimage compute is on head head: not done: nobody answers") {
		t.Errorf("got %v", err)
	}
}

// rollback asks for what cannot be done, and returns why.
func (r *room) rollback() error {
	r.Helper()
	for ctx := r.within(); ; time.Sleep(10 * time.Millisecond) {
		_, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "release", "rollback"), &imagepackerv1.RollbackRequest{Name: "compute"}, &imagepackerv1.ReleasesReply{})
		if err == nil {
			r.Fatal("there was something to roll back to")
		}
		// No packer is there yet, or one that stops has still got the command.
		again := strings.Contains(err.Error(), "nobody answers on luna.cmd.image-packer.release.rollback;") || strings.Contains(err.Error(), "the service is stopping")
		if !again || ctx.Err() != nil {
			return err
		}
	}
}
