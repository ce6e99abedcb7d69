package imagepacker_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

// ada sends a command on an image in ada's name.
func (r *room) ada(noun, verb string, req, reply proto.Message) error {
	r.Helper()
	_, err := bus.Request(bus.WithCall(r.within(), bus.Call{Author: "ada"}), r.conn, subject.Command("image-packer", noun, verb), req, reply)
	return err
}

// refuses wants every other work on the image, and in the directory new, refused for the work of a job.
func (r *room) refuses(title, id, clone string) {
	r.Helper()
	for _, c := range []struct {
		noun, verb string
		req, rep   proto.Message
	}{
		{"osimage", "pack", &imagepackerv1.PackRequest{Name: "compute", CopyBoot: true}, &jobv1.JobReply{}},
		{"osimage", "pack", &imagepackerv1.PackRequest{Name: "compute", Image: true}, &jobv1.JobReply{}},
		{"osimage", "clone", &imagepackerv1.OsimageCloneRequest{Name: "compute", To: "other", Path: clone + "-other"}, &jobv1.JobReply{}},
		{"osimage", "import", &imagepackerv1.OsimageImportRequest{Name: "other", Source: r.archive(1), Path: clone}, &jobv1.JobReply{}},
		{"osimage", "grab", &imagepackerv1.OsimageGrabRequest{Name: "compute", Host: "127.0.0.1"}, &jobv1.JobReply{}},
		{"release", "rollback", &imagepackerv1.RollbackRequest{Name: "compute"}, &imagepackerv1.ReleasesReply{}},
	} {
		err := r.ada(c.noun, c.verb, c.req, c.rep)
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "is being worked on, "+title+" (asked by ada): `luna job follow image-packer "+id+"`") {
			r.Errorf("%s %s while %s: %v", c.noun, c.verb, title, err)
		}
	}
}

// TestOneWorkAtATime holds a pack until the test lets it end, then a clone: whatever else is asked for of the image
// meanwhile is refused, and hears who works there.
func TestOneWorkAtATime(t *testing.T) {
	r := newRoom(t, t.TempDir())
	hold := make(chan struct{})
	r.inventory(func(*inventoryv1.OsimageAddRequest) error { <-hold; return nil })
	r.done(r.pack())
	setup := r.srv.Connect(t, "setup").JS
	must(t, setup.DeleteObjectStore(r.within(), subject.Files)) // nothing can be published

	r.write("etc/motd", []byte("new"))
	job := &jobv1.JobReply{}
	r.begun(func() error {
		return r.ada("osimage", "pack", &imagepackerv1.PackRequest{Name: "compute", CopyBoot: true}, job)
	})
	r.refuses("pack compute", job.JobId, r.tree)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, bus.Setup(ctx, setup, 1))
	r.done(r.ended(job.JobId))

	to := filepath.Join(t.TempDir(), "new")
	r.begun(func() error {
		return r.ada("osimage", "clone", &imagepackerv1.OsimageCloneRequest{Name: "compute", To: "new", Path: to}, job)
	})
	r.refuses("clone compute to new", job.JobId, to)
	close(hold)
	r.done(r.ended(job.JobId))
	r.done(r.pack())
}

// begun sends a command until it is taken: the last job is just ending.
func (r *room) begun(send func() error) {
	r.Helper()
	for ctx := r.within(); ; time.Sleep(10 * time.Millisecond) {
		err := send()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.Fatal(err)
		}
	}
}
