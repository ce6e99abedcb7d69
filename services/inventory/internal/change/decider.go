package change

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

const (
	// tries is how often a change is decided anew because another came first.
	tries = 50
	// patience is how long a command without a deadline is tried.
	patience = 30 * time.Second
)

// Decider makes changes, one at a time in a process; between processes the
// stream's sequence decides who is first.
type Decider struct {
	conn  *bus.Conn
	state *projection.State
	key   secret.Key
	now   func() time.Time
	turn  chan struct{} // holds something while a change is being made
}

// NewDecider returns a decider on a state that folds with Fold.
func NewDecider(conn *bus.Conn, state *projection.State, key secret.Key, now func() time.Time) *Decider {
	return &Decider{conn: conn, state: state, key: key, now: now, turn: make(chan struct{}, 1)}
}

// Do decides and stores one change. A command id that was done already gives
// its first result, or Conflict when it was another command's. Unavailable
// errors say whether nothing was done or the outcome is unknown.
func (d *Decider) Do(ctx context.Context, call bus.Call, req proto.Message, decide func(*Draft) error) (*inventoryv1.ChangeReply, error) {
	if err := inventoryv1.CheckID(call.ID); err != nil {
		return nil, fault.Invalidf("command id: %w", err)
	}
	ctx, cancel := inTime(ctx)
	defer cancel()
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, fault.Unavailablef("not done: earlier commands took until the deadline of this one; try again")
	}
	return d.rounds(ctx, call, req, decide)
}

// inTime ends before the requester stops waiting.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return bus.InTime(ctx, deadline)
	}
	return context.WithTimeout(ctx, patience)
}

// Try decides without storing anything: show makes the reply of the draft.
func (d *Decider) Try(ctx context.Context, call bus.Call, decide func(*Draft) error, show func(*Draft) (*inventoryv1.ChangeReply, error)) (*inventoryv1.ChangeReply, error) {
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	var rep *inventoryv1.ChangeReply
	err := d.state.View(func(tx *projection.Tx) (err error) {
		draft := NewDraft(catalog.Of(tx), d.key, d.now())
		if err = decide(draft); err != nil {
			return err
		}
		rep, err = show(draft)
		return err
	})
	if err != nil {
		return nil, err
	}
	rep.CommandId, rep.DryRun = call.ID, true
	return rep, nil
}

// rounds decides until nobody else is first.
func (d *Decider) rounds(ctx context.Context, call bus.Call, req proto.Message, decide func(*Draft) error) (*inventoryv1.ChangeReply, error) {
	var about doubt
	for range tries {
		rep, err := d.once(ctx, call, req, decide, &about)
		if !errors.Is(err, bus.ErrFenced) {
			return rep, about.tell(call.ID, err)
		}
	}
	return nil, about.tell(call.ID, fault.Unavailablef("not done: other changes came first %d times; try again", tries))
}

// once is one round; ErrFenced asks for another.
func (d *Decider) once(ctx context.Context, call bus.Call, req proto.Message, decide func(*Draft) error, about *doubt) (*inventoryv1.ChangeReply, error) {
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	var (
		done  *inventoryv1.ChangeAt
		msgs  []*nats.Msg
		draft *Draft
	)
	// Asked before the view, which then shows this revision or a later one. Asked
	// within it, the answer may be newer than the view, and the fence no fence.
	expected, _ := d.state.Revision(subject.Inventory)
	err := d.state.View(func(tx *projection.Tx) (err error) {
		if done, err = Record(tx, call.ID); err != nil || done != nil {
			return err
		}
		about.settle(expected)
		draft = NewDraft(catalog.Of(tx), d.key, d.now())
		if err := decide(draft); err != nil || draft.Empty() {
			return err
		}
		rec, err := record(call, req, draft.Now)
		if err != nil {
			return err
		}
		msgs, err = draft.messages(rec)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case done != nil:
		about.end()
		if err := repeats(done, call, req); err != nil {
			return nil, err
		}
		return d.reply(ctx, done)
	case draft.Empty():
		return &inventoryv1.ChangeReply{CommandId: call.ID, Notes: draft.notes}, nil
	}
	if err := d.seal(ctx, draft.secrets); err != nil {
		return nil, err
	}
	return d.store(ctx, call.ID, msgs, expected, about)
}

// repeats is Conflict unless a command is the one that was done under its id.
func repeats(done *inventoryv1.ChangeAt, call bus.Call, req proto.Message) error {
	first := req.ProtoReflect().New().Interface()
	if done.Change.Command == call.Command && wire.Event([]byte(done.Change.Request), first) == nil && proto.Equal(first, redacted(req)) {
		return nil
	}
	return fault.Conflictf("command id %s is that of another command, %s, done as revision %d: this one needs an id of its own; see `luna history %s`",
		call.ID, done.Change.Command, done.Revision, call.ID)
}

// seal publishes secrets before the change that names them. Those of a change
// that is not made are named by nothing, and taken away after a day.
func (d *Decider) seal(ctx context.Context, secrets map[string][]byte) error {
	for id, data := range secrets {
		sealed, err := d.key.Seal(id, data)
		if err != nil {
			return err
		}
		if _, err := d.conn.JS.Publish(ctx, subject.Secret(id), sealed); err != nil {
			return fault.Unavailablef("not done: a secret could not be stored: %w", bus.Explain(ctx, d.conn, subject.Secret(id), err))
		}
	}
	return nil
}

// redacted returns a request with *** in the place of each secret.
func redacted(req proto.Message) proto.Message {
	req = proto.Clone(req)
	m := req.ProtoReflect()
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if o, ok := f.Options().(*descriptorpb.FieldOptions); ok && o.GetDebugRedact() && v.String() != "" {
			m.Set(f, protoreflect.ValueOfString("***"))
		}
		return true
	})
	return req
}

func record(call bus.Call, req proto.Message, now time.Time) (*inventoryv1.Change, error) {
	body, err := wire.Marshal(redacted(req))
	if err != nil {
		return nil, fmt.Errorf("encode the request for the record: %w", err)
	}
	return &inventoryv1.Change{
		CommandId: call.ID, Author: call.Author, Time: now.UTC().Format(time.RFC3339Nano),
		Command: call.Command, Reason: call.Reason, Request: string(body),
	}, nil
}

// store publishes the batch until its outcome is known or the time is over.
func (d *Decider) store(ctx context.Context, id string, msgs []*nats.Msg, expected uint64, about *doubt) (*inventoryv1.ChangeReply, error) {
	for {
		seq, err := bus.PublishBatch(ctx, d.conn, msgs, expected)
		if err == nil {
			about.end()
			if err := d.state.WaitFor(ctx, subject.Inventory, seq); err != nil {
				return nil, fault.Unavailablef("done as revision %d, but it is not visible yet: %w", seq, err)
			}
			return d.resultOf(ctx, id)
		}
		if errors.Is(err, bus.ErrFenced) {
			// Either somebody else was first or this very batch was, by an earlier
			// try: the next round folds past it and looks for the id.
			return nil, bus.ErrFenced
		}
		if errors.Is(err, bus.ErrFull) { // it is full for longer than anybody waits
			return nil, fault.Unavailablef("not done: the change could not be stored: %w", err)
		}
		if !errors.Is(err, bus.ErrUncommitted) {
			about.rise(expected)
		}
		select {
		case <-ctx.Done():
			return nil, fault.Unavailablef("not done: the change could not be stored: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (d *Decider) resultOf(ctx context.Context, id string) (*inventoryv1.ChangeReply, error) {
	var done *inventoryv1.ChangeAt
	err := d.state.View(func(tx *projection.Tx) (err error) {
		done, err = Record(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if done == nil { // the state is another one meanwhile
		return nil, fault.Unavailablef("done, but its result is not visible; see `luna history %s`", id)
	}
	return d.reply(ctx, done)
}

// Refresh waits until the state shows everything that the stream holds now.
func (d *Decider) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := d.conn.JS.Stream(ctx, subject.Inventory)
	if err != nil {
		return fault.Unavailablef("not done: the bus does not answer: %w", err)
	}
	if err := d.state.WaitFor(ctx, subject.Inventory, stream.CachedInfo().State.LastSeq); err != nil {
		return fault.Unavailablef("not done: %w", err)
	}
	return nil
}
