package pack

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/erofs"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/release"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/module"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// overlay stores the compressed image of the files whose payload was just stored.
func (p *Packer) overlay(ctx context.Context, t tree.Tree, image *inventoryv1.Osimage, r, last *imagepackerv1.Release, rep Reporter) error {
	rep.Phase("compressed image", "bytes")
	m, err := release.PackImage(ctx, release.Options{
		Tree: image.Path, PayloadDir: p.Payload, KernelVersion: r.Kernver, PieceLength: p.pieceLength(last.GetOverlay().GetManifest()),
		Index: filepath.Join(p.Index, image.Id+"-overlay"), Progress: rep.Progress,
	})
	if err != nil {
		return fault.Conflictf("compress %s: %w", image.Path, err)
	}
	f, err := p.store(m)
	if err != nil {
		return err
	}
	r.Overlay = &imagepackerv1.Overlay{Manifest: f.manifest, Torrent: f.torrent, InfoHash: f.infoHash, Bytes: m.Size()}
	notes, err := ofOverlay(t, r.Kernver, inventoryv1.Words(image.Kernmodules))
	r.Warnings = append(r.Warnings, notes...)
	return err
}

// ofOverlay tells what a kernel lacks to mount a compressed root.
func ofOverlay(t tree.Tree, kernver string, asked []string) ([]string, error) {
	set, err := module.Read(t, kernver)
	if err != nil {
		return nil, err
	}
	choice, err := set.Choose(slices.Concat(erofs.Modules, asked), func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, name := range erofs.Modules {
		if !choice.Asks(name) && !set.Builtin(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("kernel %s cannot mount the compressed image: it has not, or kernmodules leaves out, %s", kernver, strings.Join(missing, " "))}, nil
}
