package bench

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/imagelock"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/subject"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/container"
	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// imports unpacks an image of containers in the background, then sends its description to the inventory. Whether that
// will take it is asked before.
func (b *Bench) imports(ctx context.Context, call bus.Call, req *imagepackerv1.OsimageImportRequest) (*jobv1.JobReply, error) {
	if req.Head != "" && req.Head != b.Packer.Head {
		return b.sendOn(ctx, call, req)
	}
	src, err := b.source(req.Source)
	if err != nil {
		return nil, err
	}
	if !path.IsAbs(req.Path) {
		return nil, fault.Invalidf("path %q must begin with /", req.Path)
	}
	add := &inventoryv1.OsimageAddRequest{Name: req.Name, Path: path.Clean(req.Path), Head: b.Packer.Head, Kernopts: req.Kernopts, Comment: req.Comment}
	if err := b.free(add.Path); err != nil {
		return nil, err
	}
	trial := call
	trial.DryRun = true
	if err := b.describe(ctx, trial, add); err != nil {
		return nil, err
	}
	if err := b.checkEmpty(add.Path, add.Head); err != nil {
		return nil, err
	}
	none := func() (*imagelock.Lock, error) { return nil, nil }
	return b.start(errand{title: "import " + req.Name, author: call.Author}, none, func(ctx context.Context, j *job.Job) error { return b.bringIn(ctx, call, src, req.Platform, add, j) }, add.Path)
}

// sendOn lets the head that a request names do it.
func (b *Bench) sendOn(ctx context.Context, call bus.Call, req *imagepackerv1.OsimageImportRequest) (*jobv1.JobReply, error) {
	if err := inventoryv1.CheckName(req.Head); err != nil {
		return nil, fault.Invalidf("head: %w", err)
	}
	rep, err := bus.Request(bus.WithCall(ctx, call), b.Conn, subject.CommandOn(req.Head, "image-packer", "osimage", "import"), req, &jobv1.JobReply{})
	if fault.KindOf(err) == fault.Unavailable {
		err = fault.Unavailablef("head %s: %w", req.Head, err)
	}
	return rep, err
}

// source is what a request names, which must be there.
func (b *Bench) source(text string) (imagepackerv1.Source, error) {
	src, err := imagepackerv1.ParseSource(text)
	if err != nil {
		return src, fault.Invalidf("%w", err)
	}
	if !path.IsAbs(src.Path) {
		return src, fault.Invalidf("source %s: its path must begin with /", src)
	}
	info, err := os.Stat(src.Path)
	switch {
	case err != nil:
		return src, fault.Invalidf("source %s cannot be read on head %s (a container sees only what compose.yaml mounts, /opt/luna; of several heads, name the one that has it): %w",
			src, b.Packer.Head, err)
	case src.Transport == "oci" && !info.IsDir():
		return src, fault.Invalidf("source %s is no directory: want oci-archive: or docker-archive: for a file", src)
	case src.Transport != "oci" && !info.Mode().IsRegular():
		return src, fault.Invalidf("source %s is no file: want oci: for a directory", src)
	}
	return src, nil
}

// checkEmpty looks whether a directory can be made, or is there and empty.
func (b *Bench) checkEmpty(dir, head string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return checkDir(path.Dir(dir), head)
	}
	if err == nil && !info.IsDir() {
		return fault.Conflictf("path %s on head %s is no directory", dir, head)
	}
	var names []os.DirEntry
	if err == nil {
		names, err = os.ReadDir(dir)
	}
	if err != nil {
		return fault.Invalidf("path %s on head %s: %w", dir, head, err)
	}
	if len(names) > 0 {
		if err := b.orphaned(dir); err != nil {
			return err
		}
		return fault.Conflictf("path %s on head %s is not empty: it holds %s; an import fills a directory of its own", dir, head, names[0].Name())
	}
	var here, above unix.Stat_t
	if err := errors.Join(unix.Stat(dir, &here), unix.Stat(path.Dir(dir), &above)); err != nil {
		return fault.Invalidf("path %s on head %s: %w", dir, head, err)
	}
	if here.Dev != above.Dev {
		return fault.Conflictf("path %s on head %s is a mount point: name a directory in it, which can be made beside and renamed", dir, head)
	}
	return nil
}

// bringIn makes the directory of an image and describes it.
func (b *Bench) bringIn(ctx context.Context, call bus.Call, src imagepackerv1.Source, platform string, add *inventoryv1.OsimageAddRequest, j *job.Job) error {
	j.Phase("unpack", "bytes")
	err := b.Yard.Make(add.Path, func(dir string) (err error) {
		image, err := container.Open(src, platform, dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, image.Close()) }()
		j.Note("made for " + image.Platform)
		return image.Unpack(ctx, dir, j.Progress)
	})
	if err != nil {
		return b.undone(err)
	}
	j.Phase("describe", "")
	t := tree.At(add.Path)
	kernels, err := kernel.Find(t)
	if len(kernels) > 0 {
		add.Kernver = kernels[0].Version
	}
	if err == nil {
		err = b.register(ctx, call, add)
	} else {
		err = b.discard(add.Path, err)
	}
	if err != nil {
		return err
	}
	if len(kernels) == 0 {
		j.Note("the image holds no kernel: " + kernel.Missing(t, add.Name))
	}
	if !hasInit(t) {
		j.Note("the image holds no init system (/sbin/init): install systemd too")
	}
	return nil
}

// hasInit tells whether a booted image finds its first process.
func hasInit(t tree.Tree) bool { return t.IsFile("sbin/init") || t.IsFile("lib/systemd/systemd") }
