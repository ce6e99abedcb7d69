package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/catalog"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

// TestRootChoosesThePayload: the manifest on the kernel's line is that of what the node installs.
func TestRootChoosesThePayload(t *testing.T) {
	r := &imagepackerv1.Release{Manifest: "sha256:tree", Torrent: "tree", Overlay: &imagepackerv1.Overlay{Manifest: "sha256:image", Torrent: "image"}}
	other := map[string]string{"tree": " luna.overlay=sha256:image ", "image": " luna.files=sha256:tree "}
	for root, want := range map[string]string{"": "tree", "tmpfs": "tree", "disk": "tree", "overlay": "image"} {
		p := plan.Plan{Release: r, Joined: catalog.Joined{Group: &inventoryv1.Group{Root: root}, Node: &inventoryv1.Node{Name: "node001"}, Osimage: &inventoryv1.Osimage{Name: "compute"}}}
		if manifest, torrent := p.Payload(); manifest != "sha256:"+want || torrent != want {
			t.Errorf("root %q: %s, %s", root, manifest, torrent)
		}
		if line := p.Script(plan.Boot{Now: time.Unix(1, 0)}).Line; !strings.Contains(line, "luna.manifest=sha256:"+want+other[want]) {
			t.Errorf("root %q: %s", root, line)
		}
	}
}

// TestReleaseWithoutTheImage: the release that a boot began with may lack what the group's root needs by now.
func TestReleaseWithoutTheImage(t *testing.T) {
	for root, reason := range map[string]string{"tmpfs": "", "overlay": "osimage compute: its release has no compressed image, which root overlay of group nodes needs"} {
		p := plan.Plan{Joined: catalog.Joined{Group: &inventoryv1.Group{Name: "nodes", Root: root}, Osimage: &inventoryv1.Osimage{Name: "compute"}}}
		p.Take(&imagepackerv1.Release{Manifest: "sha256:tree"})
		if (reason == "") != (p.Reason == "") || !strings.HasPrefix(p.Reason, reason) {
			t.Errorf("root %s: %q", root, p.Reason)
		}
		if line := p.Script(plan.Boot{Now: time.Unix(1, 0)}).Line; strings.Contains(line, "luna.overlay") || strings.Contains(line, "luna.files") {
			t.Errorf("root %s: %s", root, line)
		}
	}
}
