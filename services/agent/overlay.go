package agent

import (
	"context"
	"os/exec"
	"path/filepath"

	"github.com/luna-hpc/luna/pkg/erofs"
	"github.com/luna-hpc/luna/services/agent/internal/modalias"
	"github.com/luna-hpc/luna/services/agent/internal/preload"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// overlay mounts a compressed root. Modules that cannot be loaded may be in the kernel itself: the mount tells.
func (t *tool) overlay(ctx context.Context, image, dir string) error {
	probe := preload.Probe(preload.Modprobe)
	if _, err := exec.LookPath("modprobe"); err != nil {
		loader, err := modalias.NewLoader(t.log)
		if err != nil {
			return err
		}
		probe = loader.Named
	}
	if _, err := preload.Load(ctx, erofs.Modules, probe); err != nil {
		t.log.Warn("modules for the root", "err", err)
	}
	return sysroot.Overlay(image, dir, filepath.Join(t.run, "root"))
}
