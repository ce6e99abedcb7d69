package initrd_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
)

// TestFirmwareFiles looks for names as the kernel does (drivers/base/firmware_loader): plain before packed, and updates
// before the rest.
func TestFirmwareFiles(t *testing.T) {
	im := image{T: t, root: t.TempDir()}
	im.link("lib", "usr/lib")
	for _, name := range []string{
		"tigon/tg3.bin", "updates/qed/values.bin.xz", "qed/values.bin.zst", "updates/tigon/tg3.bin.xz", "updates/card.fw", "6.1/card.fw", "updates/6.1/card.fw",
		"ice/ice-1.3.pkg.xz", "e100/a.bin", "e100/b.bin.xz", "e100/c.txt",
	} {
		im.file("usr/lib/firmware/"+name, name)
	}
	im.link("usr/lib/firmware/ice/ice.pkg.xz", "ice-1.3.pkg.xz")
	im.link("usr/lib/firmware/gone.bin", "nowhere")
	for name, want := range map[string][]string{
		"tigon/tg3.bin":  {"lib/firmware/tigon/tg3.bin"},
		"qed/values.bin": {"lib/firmware/qed/values.bin.zst"},
		"card.fw":        {"lib/firmware/updates/6.1/card.fw"},
		"ice/ice.pkg":    {"lib/firmware/ice/ice.pkg.xz"},
		"e100/*.bin":     {"lib/firmware/e100/a.bin", "lib/firmware/e100/b.bin.xz"},
		"gone.bin":       nil,
		"none.bin":       nil,
	} {
		got, err := initrd.FirmwareFiles(im.root, "6.1", name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}
