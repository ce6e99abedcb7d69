package graft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ask is what a receiver wants to know of a sender's tree.
type ask struct {
	Filesystems []string `json:"filesystems"`
	Exclude     string   `json:"exclude"`
}

// Serve tells the other side of a line what there is below root, and sends the files that it wants.
func Serve(ctx context.Context, root string, l *Line) error {
	if err := l.greet(); err != nil {
		return err
	}
	var a ask
	if err := l.receiveText(&a); err != nil {
		return err
	}
	if err := l.send(func(w io.Writer) error { return tell(ctx, root, a, w) }); err != nil {
		return err
	}
	var names []string
	err := l.receive(func(r io.Reader) (err error) { names, err = readNames(r); return err })
	if err != nil || len(names) == 0 {
		return err
	}
	return l.send(func(w io.Writer) error { return sendContents(ctx, root, names, w) })
}

func tell(ctx context.Context, root string, a ask, w io.Writer) error {
	exclude, err := ParsePatterns(a.Exclude)
	if err != nil {
		return err
	}
	list, err := NewListing(w)
	if err != nil {
		return err
	}
	if err := List(ctx, root, Scope{a.Filesystems, exclude}, list.Add); err != nil {
		return err
	}
	return list.Close()
}

// Grab is what is brought from another tree into a directory.
type Grab struct {
	// Dir is the directory.
	Dir         string
	Filesystems []string
	// Exclude are lines as for ParsePatterns. What they leave out is neither brought nor taken away.
	Exclude string
	// DryRun changes nothing.
	DryRun bool
	// Phase is told what is done next and in which unit, Progress how far it is.
	Phase    func(name, unit string)
	Progress func(done, total int64)
}

// Result is what came of it.
type Result struct {
	Plan *Plan
	// Unsteady are files that changed each time they were read, Vanished those that were gone when they were to come.
	Unsteady, Vanished []string
	// Covered are file systems that were named and are left out, as the exclude lines cover them.
	Covered []string
	// Refused are attributes that the file system does not know, each with how many files go without it.
	Refused map[string]int
}

// HalfWay is the error of a directory in which not all was done. Resume goes on.
type HalfWay struct{ Err error }

// Error says so.
func (h HalfWay) Error() string { return fmt.Sprintf("the directory is half-way: %v", h.Err) }

// Unwrap returns the cause.
func (h HalfWay) Unwrap() error { return h.Err }

// Run makes the directory like the tree that Serve tells of. Before all has come the directory stays as it was; what
// is interrupted after that is HalfWay, or ended by Resume.
func (g Grab) Run(ctx context.Context, l *Line) (r Result, err error) {
	want, have, err := g.lists(ctx, l, &r)
	if err != nil {
		return r, err
	}
	if r.Plan, err = NewPlan(want, have, true); err != nil {
		return r, err
	}
	if g.DryRun || len(r.Plan.Steps) == 0 {
		return r, l.send(func(io.Writer) error { return nil })
	}
	place, err := g.makePlace()
	if err != nil {
		return r, err
	}
	defer func() {
		var half HalfWay
		if !errors.As(err, &half) {
			err = errors.Join(err, clearPlace(place))
		}
	}()
	n := newGraft(g.Dir, r.Plan, func(string) (string, error) { return place, nil })
	defer func() { err = errors.Join(err, n.Close()) }()
	if r.Unsteady, err = g.fetch(ctx, l, n); err != nil {
		return r, err
	}
	for name := range n.dropped {
		r.Vanished = append(r.Vanished, name)
	}
	r.Refused, err = g.commit(n, place)
	return r, err
}

// lists returns what both trees have, and tells r what is not looked at.
func (g Grab) lists(ctx context.Context, l *Line, r *Result) (want, have []*Fact, err error) {
	exclude, err := ParsePatterns(g.Exclude)
	if err != nil {
		return nil, nil, err
	}
	scope := Scope{g.Filesystems, exclude}
	if r.Covered, err = scope.covered(); err != nil {
		return nil, nil, err
	}
	g.Phase("list", "")
	if err := l.greeted(); err != nil {
		return nil, nil, err
	}
	err = l.send(func(w io.Writer) error { return json.NewEncoder(w).Encode(ask{g.Filesystems, g.Exclude}) })
	if err != nil {
		return nil, nil, err
	}
	err = List(ctx, g.Dir, scope, func(f *Fact) error {
		if f.Mount {
			return fmt.Errorf("%s is covered by a mount: unmount it before grabbing", filepath.Join(g.Dir, f.Name()))
		}
		have = append(have, f)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = l.receive(func(r io.Reader) (err error) { want, err = ReadListing(r); return err })
	if err == nil && len(want) == 0 {
		err = fmt.Errorf("there is nothing in the file systems %s", strings.Join(g.Filesystems, ", "))
	}
	return want, have, err
}

func (g Grab) fetch(ctx context.Context, l *Line, n *Graft) (unsteady []string, err error) {
	g.Phase("fetch", "bytes")
	if err := l.send(func(w io.Writer) error { return writeNames(w, n.plan.Fetch) }); err != nil {
		return nil, err
	}
	if err := n.own(ctx); err != nil {
		return nil, err
	}
	if len(n.plan.Fetch) == 0 {
		return nil, nil
	}
	var done int64
	err = l.receive(func(r io.Reader) (err error) {
		unsteady, err = n.receiveContents(ctx, newBounded(r, mostContents(n.plan), "files"), func(got int64) {
			done += got
			g.Progress(done, max(done, n.plan.Bytes))
		})
		return err
	})
	return unsteady, err
}

// commit does what was planned.
func (g Grab) commit(n *Graft, place string) (map[string]int, error) {
	g.Phase("apply", "")
	acts, err := n.acts()
	if err != nil {
		return nil, err
	}
	if err := keep(place, acts); err != nil {
		return nil, err
	}
	if n.refused, err = commit(g.Dir, acts, false); err != nil {
		return nil, HalfWay{err}
	}
	return n.Refused(), nil
}

// placeOf is where what comes into a directory waits: beside it, so that nothing of it is ever packed.
func placeOf(dir string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".luna-grab")
}

// makePlace makes the folder beside the directory.
func (g Grab) makePlace() (string, error) {
	place := placeOf(g.Dir)
	if err := os.Mkdir(place, 0o700); err != nil {
		return "", err
	}
	var a, b unix.Statx_t
	err := errors.Join(unix.Statx(unix.AT_FDCWD, g.Dir+"/.", 0, unix.STATX_MNT_ID, &a), unix.Statx(unix.AT_FDCWD, place, 0, unix.STATX_MNT_ID, &b))
	if err == nil && a.Mnt_id != b.Mnt_id {
		err = fmt.Errorf("%s is a file system of its own: what comes must wait beside it, in %s; let the image be a directory in that file system", g.Dir, place)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(place))
	}
	return place, nil
}

// Interrupted tells whether there is something for Resume.
func Interrupted(dir string) bool {
	_, err := os.Lstat(placeOf(dir))
	return err == nil
}

// Resume ends a Grab that was interrupted after all had come, and clears up after one that was interrupted before.
// It says whether there was something to end.
func Resume(dir string) (ended bool, err error) {
	place := placeOf(dir)
	acts, err := readActs(place)
	if err != nil {
		return false, HalfWay{err}
	}
	if acts != nil {
		if _, err := commit(dir, acts, true); err != nil {
			return false, HalfWay{err}
		}
	}
	return acts != nil, clearPlace(place)
}

// clearPlace removes a folder: first that which says that something is to be done.
func clearPlace(place string) error {
	if err := os.Remove(filepath.Join(place, actsFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(place)
}
