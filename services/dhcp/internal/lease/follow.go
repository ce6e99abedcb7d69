package lease

import (
	"context"
	"log/slog"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
)

// gather is how long changes are gathered before the table takes them.
const gather = 100 * time.Millisecond

// Follower is a task that puts the bus's leases into the table.
type Follower struct {
	Table  *Table
	State  *projection.State
	Outbox *outbox.Outbox
	Log    *slog.Logger
	Now    func() time.Time
	read   chan struct{}
	seen   uint64
}

// NewFollower returns a follower of a state; the table is empty until it runs.
func NewFollower(t *Table, state *projection.State, box *outbox.Outbox, log *slog.Logger, now func() time.Time) *Follower {
	return &Follower{Table: t, State: state, Outbox: box, Log: log, Now: now, read: make(chan struct{})}
}

// Read is closed when the table holds what was kept: before, no stranger may be answered.
func (f *Follower) Read() <-chan struct{} { return f.read }

// Run merges at every change until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	return f.State.AfterChanges(ctx, gather, func() error {
		if err := f.merge(); err != nil {
			f.Log.Info("leases are not read yet", "err", err)
		}
		return nil
	})
}

func (f *Follower) merge() error {
	revision, _ := f.State.Revision(subject.Seen)
	if f.isRead() && revision == f.seen {
		return nil
	}
	box := f.Outbox
	if f.isRead() {
		box = nil // what came into it since is in the table
	}
	all, err := Kept(f.State, box)
	if err != nil {
		return err
	}
	f.Table.Merge(all, f.Now())
	f.seen = revision
	if !f.isRead() {
		close(f.read)
	}
	return nil
}

func (f *Follower) isRead() bool {
	select {
	case <-f.read:
		return true
	default:
		return false
	}
}

// Ready is nil once the kept leases were read.
func (f *Follower) Ready() error {
	if !f.isRead() {
		return fault.Unavailablef("the leases were not read yet")
	}
	return nil
}

// String returns "leases".
func (f *Follower) String() string { return "leases" }
