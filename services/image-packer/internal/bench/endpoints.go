package bench

import (
	"context"
	"os"
	"path"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Endpoints returns the commands that the bench takes.
func (b *Bench) Endpoints() []bus.Endpoint {
	return []bus.Endpoint{
		bus.Handle("osimage", "add", b.add).Dry(),
		bus.Handle("osimage", "import", b.imports).On(b.Packer.Head),
		onItsHead(b, "osimage", "clone", b.clone, &jobv1.JobReply{}),
		onItsHead(b, "osimage", "pack", b.pack, &jobv1.JobReply{}),
		onItsHead(b, "osimage", "grab", b.grab, &jobv1.JobReply{}),
		onItsHead(b, "osimage", "push", b.push, &jobv1.JobReply{}),
		onItsHead(b, "release", "rollback", b.rollback, &imagepackerv1.ReleasesReply{}),
		onItsHead(b, "release", "diff", b.diff, &imagepackerv1.DiffReply{}),
		bus.Handle("release", "list", b.releases),
	}
}

// named is a request about one image.
type named interface {
	proto.Message
	GetName() string
}

// onItsHead is a command that the head with an image's directory does; others send it on.
func onItsHead[Req named, Rep proto.Message](b *Bench, noun, verb string, do func(context.Context, bus.Call, Req) (Rep, error), reply Rep) bus.Endpoint {
	return bus.Handle(noun, verb, func(ctx context.Context, call bus.Call, req Req) (Rep, error) {
		if err := b.State.CatchUp(ctx); err != nil {
			return reply, err
		}
		image, err := b.find(req.GetName())
		if err != nil {
			return reply, err
		}
		subj := subject.CommandOn(image.Head, "image-packer", noun, verb)
		if image.Head == b.Packer.Head || call.Command == subject.Words(subj) {
			return do(ctx, call, req)
		}
		rep, err := bus.Request(bus.WithCall(ctx, call), b.Conn, subj, req, proto.Clone(reply).(Rep))
		if fault.KindOf(err) == fault.Unavailable {
			err = fault.Unavailablef("osimage %s is on head %s: %w", image.Name, image.Head, err)
		}
		return rep, err
	}).On(b.Packer.Head)
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

func (b *Bench) releases(_ context.Context, _ bus.Call, req *imagepackerv1.ReleasesRequest) (*imagepackerv1.ReleasesReply, error) {
	image, err := b.find(req.Name)
	if err != nil {
		return nil, err
	}
	rs, err := b.Shelf.Of(image.Id)
	return &imagepackerv1.ReleasesReply{Releases: rs}, err
}
