package imagepacker_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/erofs"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

// group tells the packer of a group of the image's nodes.
func (r *room) group(root string) {
	r.Helper()
	data, err := wire.Marshal(&inventoryv1.Group{Id: "G", Name: "compute", OsimageId: "O", Root: root})
	must(r.T, err)
	_, err = r.srv.Connect(r.T, "inventory").JS.Publish(r.within(), subject.Object("group", "G"), data)
	must(r.T, err)
}

// packed packs until the newest release has a compressed image, or has none: the packer hears of the group meanwhile.
func (r *room) packed(overlay bool) *imagepackerv1.Release {
	r.Helper()
	for end := time.Now().Add(time.Minute); ; {
		if j := r.pack(); j.State != jobv1.State_STATE_DONE {
			r.Fatal(j)
		}
		all := r.releases().Releases
		if last := all[len(all)-1]; (last.Overlay != nil) == overlay {
			return last
		}
		if time.Now().After(end) {
			r.Fatalf("no release whose compressed image is there: %t; %v", overlay, all)
		}
	}
}

// TestGroupsHaveTheirImageCompressed: pack makes the compressed image while a group wants it, beside the payload that
// others install, and takes it away with the last release that has it.
func TestGroupsHaveTheirImageCompressed(t *testing.T) {
	r := newRoom(t, t.TempDir())
	if o := r.packed(false).Overlay; o != nil {
		t.Errorf("nobody asked for %v", o)
	}
	r.group(inventoryv1.RootOverlay)
	with := r.packed(true)
	if with.Manifest == with.Overlay.Manifest || with.Overlay.Bytes < 4<<20 || len(with.Overlay.InfoHash) != 40 {
		t.Errorf("%v", with)
	}
	want := "kernel 6.1 cannot mount the compressed image: it has not, or kernmodules leaves out, " + strings.Join(erofs.Modules, " ")
	if !slices.Contains(with.Warnings, want) {
		t.Errorf("warnings %q", with.Warnings)
	}
	file := func(digest string) string {
		return filepath.Join(r.data, "image-packer/files", strings.TrimPrefix(digest, "sha256:"))
	}
	files := r.files()
	for _, d := range []string{with.Overlay.Manifest, with.Overlay.Torrent} {
		if files[file(d)] == 0 {
			t.Errorf("%s is not stored", d)
		}
	}
	r.group(inventoryv1.RootAny)
	r.packed(false) // the same tree, so it takes that release's place
	if r.files()[file(with.Overlay.Manifest)] != 0 {
		t.Errorf("the manifest of a compressed image that no release names is kept")
	}
}
