package bench

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/graft"
	"github.com/luna-hpc/luna/pkg/imagelock"
	"github.com/luna-hpc/luna/pkg/job"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

// errand is work in a directory.
type errand struct {
	// title says what it is, author who wants it, id which job tells of it.
	title, author, id string
}

// String says what is done and for whom.
func (e errand) String() string {
	if e.author == "" {
		return e.title
	}
	return fmt.Sprintf("%s (asked by %s)", e.title, e.author)
}

// startIn begins work on an image and returns its job; one at a time in its directory, and in one
// that the work makes. Nobody else may work in the image's meanwhile.
func (b *Bench) startIn(image *inventoryv1.Osimage, makes string, e errand, do func(context.Context, *job.Job) error) (*jobv1.JobReply, error) {
	lock := func() (*imagelock.Lock, error) {
		l, err := imagelock.Exclusive(image.Path)
		if errors.Is(err, imagelock.ErrBusy) {
			err = fault.Conflictf("osimage %s: %w", image.Name, err)
		}
		if err != nil {
			return nil, err
		}
		if _, err := graft.Resume(image.Path); err != nil {
			return nil, errors.Join(fault.Conflictf("osimage %s: a grab was interrupted, and cannot be ended: %w", image.Name, err), l.Unlock())
		}
		return l, nil
	}
	return b.start(e, lock, do, image.Path, makes)
}

// start begins work in directories of which no other work is in one, and returns its job. The work has
// what lock returns, if anything, until its end.
func (b *Bench) start(e errand, lock func() (*imagelock.Lock, error), do func(context.Context, *job.Job) error, dirs ...string) (*jobv1.JobReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		return nil, fault.Unavailablef("not done: the packer is stopping")
	}
	for _, dir := range dirs {
		if err := b.idle(dir); err != nil {
			return nil, err
		}
	}
	held, err := lock()
	if err != nil {
		return nil, err
	}
	if b.busy == nil {
		b.busy = map[string]errand{}
	}
	j := job.Start(b.Conn, b.Out, b.Log, "image-packer", e.title)
	e.id = j.ID()
	for _, dir := range dirs {
		b.busy[dir] = e
	}
	life := b.ctx
	b.jobs.Go(func() {
		err := do(life, j)
		if held != nil {
			err = errors.Join(err, held.Unlock())
		}
		b.end(dirs)
		if err != nil {
			b.Log.Warn("work on an image failed", "job", e.title, "err", err)
			err = readable{err}
		}
		j.End(err)
	})
	return &jobv1.JobReply{JobId: j.ID()}, nil
}

// end lets others work in the directories.
func (b *Bench) end(dirs []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, dir := range dirs {
		delete(b.busy, dir)
	}
}

// full tells whether a disk had no room, or an owner none left of what he may use.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// undone is the error of a directory that could not be made.
func (b *Bench) undone(err error) error {
	if full(err) {
		return fault.Unavailablef("not done: there is no room on the disk of head %s: %w", b.Packer.Head, err)
	}
	return fault.Conflictf("not done: %w", err)
}

// idle is an error while there is work in a directory; mu is held.
func (b *Bench) idle(dir string) error {
	if e, ok := b.busy[dir]; ok {
		return fault.Conflictf("%s is being worked on, %s: `luna job follow image-packer %s`", dir, e, e.id)
	}
	return nil
}

// free is an error while there is work in a directory.
func (b *Bench) free(dir string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.idle(dir)
}
