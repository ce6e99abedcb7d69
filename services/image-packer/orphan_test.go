package imagepacker_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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

// TestImportIsKilledBeforeItIsDescribed ends the packer when the directory has its name and the inventory hears of it: what
// it is and how to go on is said, unless an osimage has it.
func TestImportIsKilledBeforeItIsDescribed(t *testing.T) {
	r := newRoom(t, t.TempDir())
	r.stop()
	to, notes, killed := filepath.Join(t.TempDir(), "new"), filepath.Join(r.data, "image-packer/half"), make(chan struct{})
	var victim atomic.Pointer[process]
	var described atomic.Bool
	r.inventory(func(*inventoryv1.OsimageAddRequest) error {
		if p := victim.Swap(nil); p != nil {
			if described.Load() {
				r.object("osimage", "N", &inventoryv1.Osimage{Id: "N", Name: "new", Path: to, Head: "head"})
			}
			p.kill()
			killed <- struct{}{}
		}
		return nil
	})
	kill := func() {
		victim.Store(r.process())
		r.importInto(r.archive(10), to)
		<-killed
		if r.left(to) == "" || r.left(notes) == "" {
			t.Fatalf("killed, and %q is there, noted %q", r.left(to), r.left(notes))
		}
	}
	kill()
	p := r.process()
	r.orphan(to, p)
	must(t, os.RemoveAll(to))
	if j := r.ended(r.importInto(r.archive(10), to)); j.State != jobv1.State_STATE_DONE || r.left(notes) != "" {
		t.Errorf("%v, noted %q", j, r.left(notes))
	}
	p.kill()
	must(t, os.RemoveAll(to))
	described.Store(true)
	kill()
	r.process()
	for ctx := r.within(); r.left(notes) != ""; time.Sleep(10 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("an osimage has it, and noted is %q", r.left(notes))
		}
	}
}

// orphan wants to be told what a directory is that is nobody's.
func (r *room) orphan(dir string, p *process) {
	r.Helper()
	for verb, req := range map[string]proto.Message{
		"import": &imagepackerv1.OsimageImportRequest{Name: "new", Source: r.archive(10), Path: dir},
		"clone":  &imagepackerv1.OsimageCloneRequest{Name: "compute", To: "new", Path: dir},
	} {
		_, err := bus.Request(r.within(), r.conn, subject.Command("image-packer", "osimage", verb), req, &jobv1.JobReply{})
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "no osimage has it. Remove it with `rm -r "+dir+"`") {
			r.Errorf("%s: %v\n%s", verb, err, p.out.String())
		}
	}
}
