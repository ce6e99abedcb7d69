package bootscript

import (
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// TestCompressedImageIsWaitedFor: an older release without a compressed image stands in for the current one only where
// nobody needs that image.
func TestCompressedImageIsWaitedFor(t *testing.T) {
	r := newRoom(t)
	first := r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/" + first.Manifest)
	install := "/luna?step=install&node=node001"
	r.object("group", "G1", &inventoryv1.Group{Id: "G1", Name: "compute", OsimageId: "O1", Root: inventoryv1.RootOverlay})
	r.until("the image is to be packed again", func() bool {
		code, body := r.get(install)
		return code == 503 && strings.Contains(body, "has no compressed image, which root overlay of group compute needs: pack the image again")
	})
	second := r.describe("kernel", "initrd", "torrent 2", "manifest 2")
	image := r.describe("kernel", "initrd", "image torrent", "image manifest")
	second.Overlay = &imagepackerv1.Overlay{Manifest: image.Manifest, Torrent: image.Torrent}
	r.publish(r.packer, subject.Release("O1"), &imagepackerv1.Releases{OsimageId: "O1", Current: second.Manifest, Releases: []*imagepackerv1.Release{first, second}})
	r.until("the new release is waited for", func() bool {
		code, body := r.get(install)
		return code == 503 && strings.Contains(body, "this head waits for 4 of 6 files of its release")
	})
	for _, content := range []string{"torrent 2", "manifest 2", "image torrent", "image manifest"} {
		r.store(release.DigestOf([]byte(content)).Hex(), content)
	}
	r.until("the compressed image is installed", func() bool {
		code, body := r.get(install)
		return code == 200 && strings.Contains(body, "--manifest "+image.Manifest+" ")
	})
}
