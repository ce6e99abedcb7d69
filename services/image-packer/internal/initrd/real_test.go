package initrd_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
)

// TestRealImage builds the initrd of the image whose directory LUNA_TEST_IMAGE names, for its newest kernel.
// LUNA_TEST_INITRD is where to keep it, LUNA_TEST_AGENT the agent to put in.
func TestRealImage(t *testing.T) {
	testenv.Root(t)
	root := testenv.Image(t)
	agent := os.Getenv("LUNA_TEST_AGENT")
	if agent == "" {
		bin, err := static()
		if err != nil {
			t.Fatal(err)
		}
		agent = filepath.Join(t.TempDir(), "luna-agent")
		if err := os.WriteFile(agent, bin, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := os.Getenv("LUNA_TEST_INITRD")
	if path == "" {
		path = filepath.Join(t.TempDir(), "initrd.img")
	}
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	report, err := initrd.Build(context.Background(), initrd.Options{Tree: root, AgentBinary: agent, WorkDir: t.TempDir(), Out: out,
		KernelModules: []string{"ipmi_devintf", "ipmi_si", "ipmi_msghandler"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, unpacked %d, %s, %d modules, udev %v, tried %v", report.Size, report.Unpacked, report.Compression, report.Modules, report.Udev, report.Tried)
	t.Logf("missing tools %v, modules %v; firmware %d, missing %d", report.MissingTools, report.MissingModules, len(report.Firmware), len(report.MissingFirmware))
	if limit := int64(30 << 20); report.Size > limit {
		t.Errorf("%d bytes, want at most %d", report.Size, limit)
	}
	if !report.Tried || !report.Udev {
		t.Errorf("tools tried %v, udev %v", report.Tried, report.Udev)
	}
}
