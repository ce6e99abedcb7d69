package graft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
)

// System is what a running system tells of itself.
type System struct {
	// Release is the manifest's digest of the release that it has; empty when that is not known.
	Release string `json:"release"`
	// Toward is the release that a push began to bring and did not end; empty when there is none.
	Toward string `json:"toward,omitempty"`
	// Kernel is the version of the kernel that runs.
	Kernel string `json:"kernel"`
}

// Order is what a running system is to become.
type Order struct {
	// Release is the digest of the release's manifest.
	Release string `json:"release"`
	// Exclude are lines as for ParsePatterns: what they leave out stays as it is.
	Exclude string `json:"exclude"`
	// DryRun changes nothing.
	DryRun bool `json:"dry_run"`
}

// Report is what a running system has done, or would do.
type Report struct {
	Created int   `json:"created"`
	Changed int   `json:"changed"`
	Deleted int   `json:"deleted"`
	Bytes   int64 `json:"bytes"`
	// Lines are the names, as of Step.Line, in a dry run.
	Lines []string `json:"lines,omitempty"`
	// Kept are names that stay though the release has them otherwise: they lie where something foreign is mounted, or
	// where this system has something else than a directory, as a link to a disk of its own.
	Kept []string `json:"kept,omitempty"`
	// Refused are attributes that the file system does not know.
	Refused map[string]int `json:"refused,omitempty"`
}

// Push brings a running system to a release.
type Push struct {
	Order Order
	// Changes returns what the release has otherwise than the one that the system has.
	Changes func(has System) ([]release.Changed, error)
	// Content opens the files of the changes: a zstd-compressed tar, as release.Extract writes it.
	Content func() (io.ReadCloser, error)
}

// Run speaks with a system that Receive speaks for.
func (p Push) Run(l *Line) (has System, r Report, err error) {
	if err := l.greeted(); err != nil {
		return has, r, err
	}
	if err := l.receiveText(&has); err != nil {
		return has, r, err
	}
	changes, err := p.Changes(has)
	if err != nil {
		_ = l.send(func(io.Writer) error { return errRefused }) // it ends, however it hears of it
		return has, r, err
	}
	if err := l.send(func(w io.Writer) error { return json.NewEncoder(w).Encode(p.Order) }); err != nil {
		return has, r, err
	}
	if err := l.send(func(w io.Writer) error { return tellChanges(changes, w) }); err != nil {
		return has, r, err
	}
	if err := l.receiveText(&r); err != nil {
		return has, r, err
	}
	if p.Order.DryRun {
		return has, r, nil
	}
	var sent error
	if r.Bytes > 0 {
		sent = l.send(p.content)
	}
	err = l.receiveText(&r)
	if told := (errTold{}); sent != nil && !errors.As(err, &told) {
		err = sent // else it says why it listened no longer
	}
	return has, r, err
}

var errRefused = errors.New("the head does not go on")

func (p Push) content(w io.Writer) error {
	f, err := p.Content()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

func tellChanges(changes []release.Changed, w io.Writer) error {
	list, err := NewListing(w)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := list.Add(&Fact{Header: c.Header, Gone: c.Gone, Sum: c.Sum, Was: c.Was}); err != nil {
			return err
		}
	}
	return list.Close()
}

// maxLines is how many names a Report lists.
const maxLines = 200

// Live is a running system's tree.
type Live struct {
	Root string
	// Lock is a file that is locked while one push goes on; a second one is refused.
	Lock string
	// Told returns what the system tells of itself.
	Told func() (System, error)
	// Begin is called with the release that the tree is about to get: until Done it may be half-way.
	Begin func(release string) error
	// Done is called with the release that the tree has now.
	Done func(release string) error
}

// Receive does what a Push orders. Until all has come the tree stays as it was; then each file is replaced in one step.
func (v Live) Receive(ctx context.Context, l *Line) error {
	if err := l.greet(); err != nil {
		return err
	}
	unlock, err := v.lock()
	if err == nil {
		defer unlock()
	}
	sent := l.send(func(w io.Writer) error { return v.tell(w, err) })
	if sent != nil {
		return sent
	}
	var o Order
	if err := l.receiveText(&o); err != nil {
		return err
	}
	var want []*Fact
	if err := l.receive(func(r io.Reader) (err error) { want, err = ReadListing(r); return err }); err != nil {
		return err
	}
	places, err := newPlaces(v.Root)
	if err != nil {
		return err
	}
	plan, r, err := v.plan(want, o, places)
	sent = l.send(func(w io.Writer) error {
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(r)
	})
	if sent != nil || o.DryRun {
		return sent
	}
	return l.send(func(w io.Writer) error {
		err := v.apply(ctx, l, plan, &r, places, o.Release)
		if err == nil {
			err = v.Done(o.Release)
		}
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(r)
	})
}

// lock lets no other push begin until unlock is called.
func (v Live) lock() (unlock func(), err error) {
	fd, err := unix.Open(v.Lock, unix.O_CREAT|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: v.Lock, Err: err}
	}
	unlock = func() { unix.Close(fd) }
	if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return unlock, nil
	}
	unlock()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.New("another push to this system goes on: push again when it has ended")
	}
	return nil, &os.PathError{Op: "lock", Path: v.Lock, Err: err}
}

// tell tells the head of the system, or what is in the way.
func (v Live) tell(w io.Writer, err error) error {
	if err != nil {
		return err
	}
	told, err := v.Told()
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(told)
}

// plan compares what is wanted with what there is.
func (v Live) plan(want []*Fact, o Order, places *places) (*Plan, Report, error) {
	var r Report
	exclude, err := ParsePatterns(o.Exclude)
	if err != nil {
		return nil, r, err
	}
	var mine []*Fact
	for _, f := range want {
		if exclude.Covers(f.Name(), f.isDir()) {
			continue
		}
		if err := places.check(f); err != nil {
			if r.Kept = append(r.Kept, f.Name()); len(r.Kept) > maxLines {
				r.Kept = r.Kept[:maxLines]
			}
			continue
		}
		mine = append(mine, f)
	}
	have, err := v.have(mine)
	if err != nil {
		return nil, r, err
	}
	if err := v.sums(mine, have); err != nil {
		return nil, r, err
	}
	plan, err := NewPlan(mine, have, false)
	if err != nil {
		return nil, r, err
	}
	r.Created, r.Changed, r.Deleted, r.Bytes = plan.Created, plan.Changed, plan.Deleted, plan.Bytes
	for i, s := range plan.Steps {
		if !o.DryRun || s.Kind == "" {
			continue
		}
		if len(r.Lines) == maxLines {
			r.Lines = append(r.Lines, fmt.Sprintf("and %d more", len(plan.Steps)-i))
			break
		}
		r.Lines = append(r.Lines, s.Line())
	}
	return plan, r, nil
}

// apply brings the plan into the tree.
func (v Live) apply(ctx context.Context, l *Line, plan *Plan, r *Report, places *places, release string) (err error) {
	defer func() { err = errors.Join(err, places.clear()) }()
	n := newGraft(v.Root, plan, places.make)
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := n.own(ctx); err != nil {
		return err
	}
	if plan.Bytes > 0 {
		err := l.receive(func(in io.Reader) error {
			_, err := n.receiveContents(ctx, in, func(int64) {})
			return err
		})
		if err != nil {
			return err
		}
	}
	acts, err := n.acts()
	if err != nil {
		return err
	}
	if err := errors.Join(places.sync(), v.Begin(release)); err != nil {
		return err
	}
	if n.refused, err = commit(v.Root, acts, false); err != nil {
		return fmt.Errorf("the system is half-way, push again: %w", err)
	}
	if err := places.sync(); err != nil {
		return fmt.Errorf("the system is half-way, push again: %w", err)
	}
	r.Refused = n.Refused()
	return nil
}
