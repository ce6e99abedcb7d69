// Package boot keeps what each node did while it booted, step by step.
package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// maxSteps is how many steps one head keeps of one boot.
const maxSteps = 2000

// lingers is how long a step stays pending after the fold shows it: no reader
// has a view of the state that is older.
const lingers = time.Minute

// Outbox takes what the bus must be told.
type Outbox interface {
	Put(entries ...outbox.Entry) error
	Each(do func(outbox.Entry)) error
}

// Book is the steps of all boots: what was folded, and this head's own steps
// that were not yet.
type Book struct {
	state *projection.State
	out   Outbox
	head  string
	now   func() time.Time

	mu      sync.Mutex // taken inside a view of the state, never around one
	pending pending
}

// Open returns the book of a head; it takes over what waits in the outbox.
func Open(state *projection.State, out Outbox, headName string, now func() time.Time) (*Book, error) {
	b := &Book{state: state, out: out, head: headName, now: now, pending: newPending()}
	err := out.Each(func(e outbox.Entry) {
		var s bootscriptv1.Step
		if wire.Event(e.Data, &s) == nil && valid(&s, e.Subject) {
			done := &entry{step: &s, kept: make(chan struct{})}
			close(done.kept)
			b.pending.add(done)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read waiting steps: %w", err)
	}
	return b, nil
}

// Keep adds a step to its boot and returns when it is on disk. Head, number
// and time are filled in. A report that is there already, or that only repeats
// the boot's last step without an id, is not kept again.
func (b *Book) Keep(s *bootscriptv1.Step) error {
	_, err := b.KeepOnce(s)
	return err
}

// KeepOnce is Keep, and tells whether the report was not there before.
func (b *Book) KeepOnce(s *bootscriptv1.Step) (fresh bool, err error) {
	e, fresh, err := b.reserve(s)
	if err != nil {
		return false, err
	}
	if fresh {
		e.err = b.put(e.step)
		if e.err != nil {
			b.drop(e)
		}
		close(e.kept)
	}
	if e != nil {
		<-e.kept
		return fresh, e.err
	}
	return fresh, nil
}

// reserve gives the step its number. Without fresh the step is a repetition:
// of the entry returned, or of a folded one when there is none.
func (b *Book) reserve(s *bootscriptv1.Step) (e *entry, fresh bool, err error) {
	err = b.state.View(func(tx *projection.Tx) (err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		e, fresh, err = b.number(tx, s)
		return err
	})
	return e, fresh, err
}

func (b *Book) number(tx *projection.Tx, s *bootscriptv1.Step) (e *entry, fresh bool, err error) {
	steps, err := b.steps(tx, s.BootId)
	if err != nil {
		return nil, false, err
	}
	n := uint64(0)
	for _, old := range steps {
		if old.NodeId != s.NodeId {
			return nil, false, fault.Conflictf("boot %s is not one of node %s", s.BootId, s.Node)
		}
		if old.Head == b.head {
			n = max(n, old.N)
		}
	}
	if old := repeated(steps, s); old != nil {
		return b.entryOf(old), false, nil
	}
	if n >= maxSteps {
		return nil, false, fault.Unavailablef("not kept: boot %s has %d steps already", s.BootId, n)
	}
	s = proto.CloneOf(s)
	s.Head, s.N, s.Time = b.head, n+1, b.after(steps).UTC().Format(time.RFC3339Nano)
	s.Report.BootId = s.BootId
	e = &entry{step: s, made: b.now(), kept: make(chan struct{})}
	b.pending.add(e)
	return e, true, nil
}

// after returns the time of a boot's next step: now, but after the steps before
// also when the clock went back meanwhile, since their times tell their order.
func (b *Book) after(steps []*bootscriptv1.Step) time.Time {
	now := b.now()
	if len(steps) > 0 {
		if last := when(steps[len(steps)-1]); !now.After(last) {
			return last.Add(time.Nanosecond)
		}
	}
	return now
}

// repeated finds the step that s says once more.
func repeated(steps []*bootscriptv1.Step, s *bootscriptv1.Step) *bootscriptv1.Step {
	if s.Report.Id == "" {
		if len(steps) == 0 {
			return nil
		}
		last := steps[len(steps)-1]
		r, q := last.Report, s.Report
		if r.GetName() == q.Name && r.GetState() == q.State && r.GetError() == q.Error && last.Release == s.Release && r.GetId() == "" {
			return last
		}
		return nil
	}
	at := slices.IndexFunc(steps, func(old *bootscriptv1.Step) bool { return old.Report.GetId() == s.Report.Id })
	if at < 0 {
		return nil
	}
	return steps[at]
}

func (b *Book) entryOf(s *bootscriptv1.Step) *entry {
	for _, e := range b.pending.of(s.BootId) {
		if e.step == s {
			return e
		}
	}
	return nil
}

func (b *Book) put(s *bootscriptv1.Step) error {
	data, err := wire.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode step: %w", err)
	}
	return b.out.Put(outbox.Entry{Subject: Subject(s), Data: data})
}

func (b *Book) drop(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending.drop(e.step.BootId, func(o *entry) bool { return o == e })
}

// steps returns a boot's steps in the order of their times; b.mu is held.
func (b *Book) steps(tx *projection.Tx, boot string) ([]*bootscriptv1.Step, error) {
	steps, err := stored(tx, boot)
	if err != nil {
		return nil, err
	}
	folded := map[string]bool{}
	for _, s := range steps {
		folded[stepKey(s)] = true
	}
	for _, e := range b.pending.of(boot) {
		if !folded[stepKey(e.step)] {
			steps = append(steps, e.step)
		}
	}
	slices.SortStableFunc(steps, func(x, y *bootscriptv1.Step) int {
		if c := when(x).Compare(when(y)); c != 0 {
			return c
		}
		if c := strings.Compare(x.Head, y.Head); c != 0 {
			return c
		}
		return int(x.N) - int(y.N)
	})
	return steps, nil
}

func when(s *bootscriptv1.Step) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, s.Time) // zero sorts first
	return t
}

// Steps returns a boot's steps in the order of their times.
func (b *Book) Steps(tx *projection.Tx, boot string) ([]*bootscriptv1.Step, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.steps(tx, boot)
}

// Boots returns the ids of a node's boots, the newest first.
func (b *Book) Boots(tx *projection.Tx, nodeID string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids, err := storedBoots(tx, nodeID)
	if err != nil {
		return nil, err
	}
	for _, id := range b.pending.ofNode(nodeID) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, nil
}

// Run forgets pending steps once the fold shows them, until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	return b.state.AfterChanges(ctx, time.Second, func() error {
		if err := b.settle(); fault.KindOf(err) != fault.Unavailable {
			return err
		}
		return nil
	})
}

func (b *Book) settle() error {
	return b.state.View(func(tx *projection.Tx) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		var bad error
		for boot := range b.pending.boots {
			b.pending.drop(boot, func(e *entry) bool {
				data, err := tx.Get(stepBucket, stepKey(e.step))
				bad = errors.Join(bad, err)
				return data != nil && b.now().Sub(e.made) >= lingers
			})
		}
		return bad
	})
}

// Ready is always nil.
func (b *Book) Ready() error { return nil }

// String returns "boots".
func (b *Book) String() string { return "boots" }
