package bench

import (
	"context"
	"os"
	"path"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Endpoints returns the commands that the bench takes.
func (b *Bench) Endpoints() []bus.Endpoint {
	return []bus.Endpoint{
		bus.Handle("osimage", "add", b.add).Dry(),
		bus.Handle("osimage", "pack", b.pack),
		bus.Handle("release", "list", b.releases),
	}
}

// add looks at an image's directory and sends its description to the inventory.
func (b *Bench) add(ctx context.Context, call bus.Call, req *imagepackerv1.OsimageAddRequest) (*inventoryv1.ChangeReply, error) {
	if !path.IsAbs(req.Path) {
		return nil, fault.Invalidf("path %q must begin with /", req.Path)
	}
	if err := checkDir(req.Path, b.Packer.Head); err != nil {
		return nil, err
	}
	k, err := kernel.Get(tree.At(req.Path), req.Kernver)
	if err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	return bus.Request(bus.WithCall(ctx, call), b.Conn, subject.Command("inventory", "osimage", "add"), &inventoryv1.OsimageAddRequest{
		Name: req.Name, Path: req.Path, Head: b.Packer.Head, Kernver: k.Version, Kernopts: req.Kernopts, Comment: req.Comment,
	}, &inventoryv1.ChangeReply{})
}

func checkDir(dir, head string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fault.Invalidf("path %s cannot be read on head %s (a container sees only what compose.yaml mounts, /opt/luna): %w", dir, head, err)
	}
	if !info.IsDir() {
		return fault.Invalidf("path %s is no directory", dir)
	}
	return nil
}

func (b *Bench) releases(ctx context.Context, _ bus.Call, req *imagepackerv1.ReleasesRequest) (*imagepackerv1.ReleasesReply, error) {
	var id string
	err := catalog.Read(b.State, func(v catalog.View) error {
		o, err := v.Find(catalog.Osimage, req.Name)
		id = o.GetOsimage().GetId()
		return err
	})
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, fault.NotFoundf("there is no osimage %q", req.Name)
	}
	rs, err := b.Shelf.Of(id)
	return &imagepackerv1.ReleasesReply{Releases: rs}, err
}
