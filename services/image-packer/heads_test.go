package imagepacker_test

import (
	"context"
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
	r.refused("no release before its current one")
	for range 20 {
		if err := r.rollback(r.within()); !strings.Contains(err.Error(), "no release before its current one") {
			t.Fatal(err)
		}
	}
}

func TestHeadThatIsAwayIsNamed(t *testing.T) {
	r := newRoom(t, t.TempDir())
	r.pack()
	r.start("other", t.TempDir())
	r.stop()
	err := r.refused("osimage compute is on head head: not done: nobody answers")
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

// rollback asks for what cannot be done, and returns why.
func (r *room) rollback(ctx context.Context) error {
	r.Helper()
	_, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "release", "rollback"), &imagepackerv1.RollbackRequest{Name: "compute"}, &imagepackerv1.ReleasesReply{})
	if err == nil {
		r.Fatal("there was something to roll back to")
	}
	return err
}

// refused asks until it is refused for a reason: packers come, and those that go still answer for a moment.
func (r *room) refused(reason string) error {
	r.Helper()
	for ctx := r.within(); ; time.Sleep(10 * time.Millisecond) {
		err := r.rollback(ctx)
		if strings.Contains(err.Error(), reason) {
			return err
		}
		if ctx.Err() != nil {
			r.Fatalf("got %v, want %q", err, reason)
		}
	}
}
