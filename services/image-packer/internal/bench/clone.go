package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
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
	trial := call
	trial.DryRun = true
	if err := b.describe(ctx, trial, add); err != nil {
		return nil, err
	}
	if err := checkFree(add.Path, image.Head); err != nil {
		return nil, err
	}
	return b.start(image, add.Path, "clone "+image.Name, func(ctx context.Context, j *job.Job) error {
		j.Phase("copy", "bytes")
		if err := copyTree(ctx, image.Path, add.Path, j.Progress); err != nil {
			return fault.Conflictf("not done: %w", err)
		}
		j.Phase("describe", "")
		if err := b.describe(ctx, call, add); err != nil {
			return errors.Join(fmt.Errorf("the copy is not kept: %w", err), os.RemoveAll(add.Path))
		}
		return nil
	})
}

// describe sends an image's description to the inventory.
func (b *Bench) describe(ctx context.Context, call bus.Call, add *inventoryv1.OsimageAddRequest) error {
	_, err := bus.Request(bus.WithCall(ctx, call), b.Conn, subject.Command("inventory", "osimage", "add"), add, &inventoryv1.ChangeReply{})
	return err
}

// checkFree looks whether a directory can be made.
func checkFree(dir, head string) error {
	_, err := os.Lstat(dir)
	if err == nil {
		return fault.Conflictf("path %s exists on head %s already; a clone makes its directory", dir, head)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fault.Invalidf("path %s on head %s: %w", dir, head, err)
	}
	return checkDir(path.Dir(dir), head)
}

// copyTree makes the directory to, whole or not at all.
func copyTree(ctx context.Context, from, to string, progress func(done, total int64)) (err error) {
	half := path.Join(path.Dir(to), "."+path.Base(to)+".luna-clone")
	if err := os.RemoveAll(half); err != nil { // of a clone that was killed
		return err
	}
	if err := os.Mkdir(half, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(half)) }()
	if err := release.Copy(ctx, from, half, progress); err != nil {
		return err
	}
	return os.Rename(half, to)
}
