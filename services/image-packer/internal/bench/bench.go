// Package bench is where packs are done: one an image at a time.
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/keep"
	"github.com/luna-hpc/luna/services/image-packer/internal/pack"
	"github.com/luna-hpc/luna/services/image-packer/internal/remote"
	"github.com/luna-hpc/luna/services/image-packer/internal/yard"
)

// Bench takes the commands on images and does them in the background; a run.Task.
type Bench struct {
	Conn   *bus.Conn
	Log    *slog.Logger
	State  *projection.State
	Out    *outbox.Outbox
	Shelf  *keep.Shelf
	Packer *pack.Packer
	Yard   *yard.Yard
	// Access is how running machines are reached.
	Access remote.Access
	// Keep is how many releases of an image are kept.
	Keep int

	mu   sync.Mutex
	ctx  context.Context // the life of the jobs; set by Run
	jobs sync.WaitGroup
	busy map[string]errand // by directory
}

// Applied returns what an outbox waits for: that a release is in the state.
// Jobs are folded by nobody.
func Applied(state *projection.State) func(context.Context, string, uint64) error {
	return func(ctx context.Context, stream string, seq uint64) error {
		if stream != subject.Images {
			return nil
		}
		return state.WaitFor(ctx, stream, seq)
	}
}

// Run lets work be done until ctx ends; running ones are given up then.
func (b *Bench) Run(ctx context.Context) error {
	b.mu.Lock()
	b.ctx = ctx
	b.jobs.Go(func() { b.resume(ctx) })
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.ctx = nil
	b.mu.Unlock()
	b.jobs.Wait()
	return nil
}

// Ready is nil: work may be done at any time.
func (b *Bench) Ready() error { return nil }

// String returns "packs".
func (b *Bench) String() string { return "packs" }

// pack begins a pack and returns its job.
func (b *Bench) pack(_ context.Context, call bus.Call, req *imagepackerv1.PackRequest) (*jobv1.JobReply, error) {
	image, err := b.image(req.Name)
	if err != nil {
		return nil, err
	}
	what := pack.What{Payload: req.Image || !req.Boot, Boot: req.Boot || !req.Image, CopyBoot: req.CopyBoot, Overlay: req.Overlay}
	if !what.Overlay {
		if what.Overlay, err = b.overlaid(image.Id); err != nil {
			return nil, err
		}
	}
	return b.startIn(image, image.Path, errand{title: "pack " + image.Name, author: call.Author}, func(ctx context.Context, j *job.Job) error { return b.work(ctx, image, what, j) })
}

// overlaid tells whether nodes mount the image compressed: those of a group with root overlay that boot it, or the group
// itself, which may get nodes.
func (b *Bench) overlaid(osimageID string) (found bool, err error) {
	err = catalog.Read(b.State, func(v catalog.View) error {
		groups := map[string]*inventoryv1.Group{}
		err := v.Groups(func(g *inventoryv1.Group) bool {
			if g.Root == inventoryv1.RootOverlay {
				groups[g.Id] = g
				found = found || g.OsimageId == osimageID
			}
			return !found
		})
		if err != nil || found || len(groups) == 0 {
			return err
		}
		return v.Nodes(func(n *inventoryv1.Node) bool {
			g := groups[n.GroupId]
			found = g != nil && catalog.OsimageID(n, g) == osimageID
			return !found
		})
	})
	return found, err
}

// find finds an image as this head knows it.
func (b *Bench) find(name string) (image *inventoryv1.Osimage, err error) {
	err = catalog.Read(b.State, func(v catalog.View) error {
		o, err := v.Find(catalog.Osimage, name)
		image = o.GetOsimage()
		return err
	})
	if err == nil && image == nil {
		err = fault.NotFoundf("there is no osimage %q", name)
	}
	return image, err
}

// image finds an image whose directory is on this head.
func (b *Bench) image(name string) (*inventoryv1.Osimage, error) {
	image, err := b.find(name)
	if err != nil {
		return nil, err
	}
	if image.Head != b.Packer.Head {
		return nil, fault.Unavailablef("not done: the directory of osimage %s is on head %s, this is %s", name, image.Head, b.Packer.Head)
	}
	return image, checkDir(image.Path, image.Head)
}

// work packs, publishes and tidies up.
func (b *Bench) work(ctx context.Context, image *inventoryv1.Osimage, what pack.What, j *job.Job) error {
	shelf, err := b.Shelf.Of(image.Id)
	if err != nil {
		return err
	}
	r, err := b.Packer.Pack(ctx, image, what, current(shelf), j)
	if err == nil {
		err = b.publish(image, r)
	}
	if full(err) {
		// What was stored until then would keep the disk full; no release names it.
		return errors.Join(fault.Unavailablef("not done: there is no room on the disk of head %s: %w", b.Packer.Head, err), b.sweep(ctx, image.Path))
	}
	if err != nil {
		return err
	}
	j.Phase("publish", "")
	if err := b.published(ctx, image.Id, r.Manifest); err != nil {
		return err
	}
	return b.sweep(ctx, image.Path)
}

func current(rs *imagepackerv1.Releases) *imagepackerv1.Release {
	if at := currentAt(rs); at >= 0 {
		return rs.Releases[at]
	}
	return nil
}

// publish puts the new list of releases into the outbox.
func (b *Bench) publish(image *inventoryv1.Osimage, r *imagepackerv1.Release) error {
	rs, err := b.Shelf.Of(image.Id)
	if err != nil {
		return err
	}
	kept := rs.Releases[:0:0]
	for _, old := range rs.Releases {
		if old.Manifest != r.Manifest {
			kept = append(kept, old)
		}
	}
	kept = append(kept, r)
	kept = kept[max(0, len(kept)-b.Keep):]
	return b.put(&imagepackerv1.Releases{OsimageId: image.Id, Current: r.Manifest, Releases: kept})
}

func (b *Bench) put(rs *imagepackerv1.Releases) error {
	data, err := wire.Marshal(rs)
	if err != nil {
		return fmt.Errorf("encode releases: %w", err)
	}
	return b.Out.Put(outbox.Entry{Subject: subject.Release(rs.OsimageId), Data: data})
}

// published waits until the bus has the release, however long it is away.
func (b *Bench) published(ctx context.Context, osimageID, manifest string) error {
	for {
		changed := b.State.Changed()
		if waiting := b.waiting(osimageID); !waiting {
			if done, err := b.Shelf.Published(osimageID, manifest); err != nil || done {
				return err
			}
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // the outbox tells nobody when it is empty
		case <-ctx.Done():
			return fault.Unavailablef("the bus has not taken it yet; the release is kept and published later")
		}
	}
}

func (b *Bench) waiting(osimageID string) bool {
	found := false
	err := b.Out.Each(func(e outbox.Entry) { found = found || e.Subject == subject.Release(osimageID) })
	return found || err != nil
}

// sweep removes what no kept release needs, unless there is other work.
func (b *Bench) sweep(ctx context.Context, mine string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for dir := range b.busy {
		if dir != mine {
			return nil
		}
	}
	all, err := b.Shelf.All()
	if err != nil {
		return err
	}
	if err := b.Packer.Files.Sweep(ctx, b.Packer.Payload, all); err != nil {
		b.Log.Warn("old files were not all removed", "err", err)
	}
	return nil
}
