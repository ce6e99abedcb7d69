package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/pack"
)

// clone copies an image's directory in the background, then sends the copy's description to the
// inventory. Whether that will take it is asked before.
func (b *Bench) clone(ctx context.Context, call bus.Call, req *imagepackerv1.OsimageCloneRequest) (*jobv1.JobReply, error) {
	image, err := b.image(req.Name)
	if err != nil {
		return nil, err
	}
	add := &inventoryv1.OsimageAddRequest{Name: req.To, Path: path.Clean(req.Path), Head: image.Head, Kernver: image.Kernver, Kernopts: image.Kernopts,
		Comment: image.Comment, Dracutmodules: &image.Dracutmodules, Kernmodules: &image.Kernmodules,
		GrabExcludeList: &image.GrabExcludeList, GrabFilesystems: &image.GrabFilesystems}
	for _, dir := range []string{image.Path, add.Path} {
		if err := b.free(dir); err != nil {
			return nil, err
		}
	}
	trial := call
	trial.DryRun = true
	if err := b.describe(ctx, trial, add); err != nil {
		return nil, err
	}
	if err := b.checkFree(add.Path, image.Head); err != nil {
		return nil, err
	}
	return b.startIn(image, add.Path, errand{title: "clone " + image.Name + " to " + add.Name, author: call.Author}, func(ctx context.Context, j *job.Job) error {
		j.Phase("copy", "bytes")
		foreign := func(name string) { j.Note(pack.Mounted(image.Path, name)) }
		err := b.Yard.Make(add.Path, func(dir string) error { return release.Copy(ctx, image.Path, dir, j.Progress, foreign) })
		if err != nil {
			return b.undone(err)
		}
		j.Phase("describe", "")
		return b.register(ctx, call, add)
	})
}

// askAgain is how often an image is described before its fate stays unknown, and askPause what lies between.
const (
	askAgain = 5
	askPause = 2 * time.Second
)

// register describes an image whose directory was made. The directory goes when the inventory refuses; while it is not
// known whether the image was added, it is asked again with the same id, which is done once, and then the directory stays.
func (b *Bench) register(ctx context.Context, call bus.Call, add *inventoryv1.OsimageAddRequest) error {
	for n := 1; ; n++ {
		err := b.describe(ctx, call, add)
		switch fault.KindOf(err) {
		case fault.Invalid, fault.NotFound, fault.Conflict:
			return b.discard(add.Path, err)
		}
		if err == nil {
			return b.Yard.Own(add.Path)
		}
		select {
		case <-ctx.Done():
			n = askAgain
		case <-time.After(askPause):
		}
		if n >= askAgain {
			return fault.Unavailablef("directory %s is kept, since it is not known whether osimage %s was added: when `luna osimage show %s` does not find it, add it with that path: %w",
				add.Path, add.Name, add.Name, err)
		}
	}
}

// discard removes a directory that was made for an image that is not to be.
func (b *Bench) discard(dir string, cause error) error {
	return errors.Join(fmt.Errorf("the directory is not kept: %w", cause), os.RemoveAll(dir), b.Yard.Own(dir))
}

// describe sends an image's description to the inventory.
func (b *Bench) describe(ctx context.Context, call bus.Call, add *inventoryv1.OsimageAddRequest) error {
	_, err := bus.Request(bus.WithCall(ctx, call), b.Conn, subject.Command("inventory", "osimage", "add"), add, &inventoryv1.ChangeReply{})
	return err
}

// checkFree looks whether a directory can be made.
func (b *Bench) checkFree(dir, head string) error {
	_, err := os.Lstat(dir)
	if err == nil {
		if err := b.orphaned(dir); err != nil {
			return err
		}
		return fault.Conflictf("path %s exists on head %s already; a clone makes its directory", dir, head)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fault.Invalidf("path %s on head %s: %w", dir, head, err)
	}
	return checkDir(path.Dir(dir), head)
}
