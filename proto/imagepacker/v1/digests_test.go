package imagepackerv1_test

import (
	"slices"
	"testing"

	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

func TestDigests(t *testing.T) {
	r := &imagepackerv1.Release{Kernel: "k", Initrd: "i", Torrent: "t", Manifest: "m"}
	if got := r.Digests(); !slices.Equal(got, []string{"k", "i", "t", "m"}) {
		t.Errorf("%q", got)
	}
	r.Overlay = &imagepackerv1.Overlay{Torrent: "ot", Manifest: "om"}
	if got := r.Digests(); !slices.Equal(got, []string{"k", "i", "t", "m", "ot", "om"}) {
		t.Errorf("with a compressed image %q", got)
	}
}
