package hardware

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// maxTold is how many changes one boot of a node may tell: its machine does
// not change more often.
const maxTold = 20

// Outbox takes what the bus must be told.
type Outbox interface {
	Put(entries ...outbox.Entry) error
	Each(do func(outbox.Entry)) error
}

// Ledger is the hardware of all nodes: what was folded, and what this head has
// not told the bus yet.
type Ledger struct {
	state *projection.State
	out   Outbox
	now   func() time.Time

	mu      sync.Mutex // never taken inside a view of the state
	pending map[string]*entry
}

// entry is a record of this head that may still be in the outbox. It is not
// changed any more once kept is closed.
type entry struct {
	id     string // in the outbox
	record *bootscriptv1.HardwareRecord
	kept   chan struct{} // closed once it is on disk, or err says why not
	err    error
}

// Open returns the ledger of a head; it takes over what waits in the outbox.
func Open(state *projection.State, out Outbox, now func() time.Time) (*Ledger, error) {
	l := &Ledger{state: state, out: out, now: now, pending: map[string]*entry{}}
	err := out.Each(func(e outbox.Entry) {
		r := &bootscriptv1.HardwareRecord{}
		if wire.Event(e.Data, r) == nil && valid(r, e.Subject) {
			done := &entry{id: e.ID, record: r, kept: make(chan struct{})}
			close(done.kept)
			l.pending[r.Now.NodeId] = done
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read waiting hardware: %w", err)
	}
	return l, nil
}

// Keep takes what a node told of its machine in a boot, and returns when it is
// on disk. What tells of the same machine as the last report is not kept again.
// A report from before the installed system's keys are known leaves those that
// were known.
func (l *Ledger) Keep(nodeID, bootID string, h *bootscriptv1.Hardware) error {
	e, fresh, err := l.reserve(nodeID, bootID, h)
	if err != nil || e == nil {
		return err
	}
	if fresh {
		if e.err = l.put(e); e.err != nil {
			l.forget(nodeID, e)
		}
		close(e.kept)
	}
	<-e.kept
	return e.err
}

// reserve makes the record of a report. Without fresh the report says what
// another entry says, or what is folded when there is none.
func (l *Ledger) reserve(nodeID, bootID string, h *bootscriptv1.Hardware) (e *entry, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var known *bootscriptv1.HardwareRecord
	e = l.pending[nodeID]
	if e != nil {
		known = e.record
	} else {
		err = l.state.View(func(tx *projection.Tx) (err error) {
			known, err = stored(tx, nodeID)
			return err
		})
	}
	if err != nil {
		return nil, false, err
	}
	h.NodeId, h.BootId, h.Time = nodeID, bootID, l.now().UTC().Format(time.RFC3339Nano)
	r := next(known, h)
	switch {
	case r == nil:
		return e, false, nil
	case r.Told > maxTold:
		return nil, false, fault.Conflictf("not kept: this boot has told of %d changes of its hardware already", maxTold)
	}
	e = &entry{id: bus.NewID(), record: r, kept: make(chan struct{})}
	l.pending[nodeID] = e
	return e, true, nil
}

// next returns the record that follows a known one; nil when nothing changed.
func next(known *bootscriptv1.HardwareRecord, h *bootscriptv1.Hardware) *bootscriptv1.HardwareRecord {
	was := known.GetNow()
	if !h.Installed {
		h.HostKeys = was.GetHostKeys()
	}
	switch {
	case was == nil:
		return &bootscriptv1.HardwareRecord{Now: h, Told: 1}
	case same(was, h):
		return nil
	case was.BootId == h.BootId:
		return &bootscriptv1.HardwareRecord{Now: h, Before: known.Before, Told: known.Told + 1}
	}
	return &bootscriptv1.HardwareRecord{Now: h, Before: was, Told: 1}
}

func (l *Ledger) put(e *entry) error {
	data, err := wire.Marshal(e.record)
	if err != nil {
		return fmt.Errorf("encode hardware: %w", err)
	}
	return l.out.Put(outbox.Entry{ID: e.id, Subject: subject.HardwareOf(e.record.Now.NodeId), Data: data})
}

func (l *Ledger) forget(nodeID string, e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[nodeID] == e {
		delete(l.pending, nodeID)
	}
}

// View is the hardware of all nodes at one moment.
type View struct {
	Tx      *projection.Tx
	pending map[string]*entry
}

// View calls do with a view of all hardware.
func (l *Ledger) View(do func(v View) error) error {
	// What leaves pending after this is in the fold that is read after this.
	l.mu.Lock()
	pending := maps.Clone(l.pending)
	l.mu.Unlock()
	return l.state.View(func(tx *projection.Tx) error { return do(View{tx, pending}) })
}

// Of returns the record of a node; nil when it never told.
func (v View) Of(nodeID string) (*bootscriptv1.HardwareRecord, error) {
	if e := v.pending[nodeID]; e != nil {
		return e.record, nil
	}
	return stored(v.Tx, nodeID)
}

// Run forgets records once the outbox has delivered them, until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	return l.state.AfterChanges(ctx, time.Second, func() error {
		if err := l.settle(); ctx.Err() == nil { // the outbox closes at the end
			return err
		}
		return nil
	})
}

// settle drops what is in the outbox no more: that is removed only once the
// fold shows it.
func (l *Ledger) settle() error {
	l.mu.Lock()
	done := map[string]*entry{}
	for node, e := range l.pending {
		select {
		case <-e.kept:
			done[node] = e
		default:
		}
	}
	l.mu.Unlock()
	if len(done) == 0 {
		return nil
	}
	waiting := map[string]bool{}
	if err := l.out.Each(func(e outbox.Entry) { waiting[e.ID] = true }); err != nil {
		return fmt.Errorf("look what waits: %w", err)
	}
	for node, e := range done {
		if !waiting[e.id] {
			l.forget(node, e)
		}
	}
	return nil
}

// Ready is always nil.
func (l *Ledger) Ready() error { return nil }

// String returns "hardware".
func (l *Ledger) String() string { return "hardware" }
