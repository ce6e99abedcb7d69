package change

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// tries is how often a change is decided anew because another came first.
const tries = 50

// Decider makes changes, one at a time in a process; between processes the
// stream's sequence decides who is first.
type Decider struct {
	conn  *bus.Conn
	state *projection.State
	key   secret.Key
	now   func() time.Time
	turn  sync.Mutex
}

// NewDecider returns a decider on a state that folds with Fold.
func NewDecider(conn *bus.Conn, state *projection.State, key secret.Key, now func() time.Time) *Decider {
	return &Decider{conn: conn, state: state, key: key, now: now}
}

// Do decides and stores one change. A command id that was done already gives
// its first result. Unavailable errors say whether nothing was done or the
// outcome is unknown.
func (d *Decider) Do(ctx context.Context, call bus.Call, req proto.Message, decide func(*Draft) error) (*inventoryv1.ChangeReply, error) {
	if err := inventoryv1.CheckID(call.ID); err != nil {
		return nil, fault.Invalidf("command id: %w", err)
	}
	d.turn.Lock()
	defer d.turn.Unlock()
	for range tries {
		rep, err := d.once(ctx, call, req, decide)
		if !errors.Is(err, bus.ErrFenced) {
			return rep, err
		}
	}
	return nil, fault.Unavailablef("not done: other changes came first %d times; try again", tries)
}

// once is one round; ErrFenced asks for another.
func (d *Decider) once(ctx context.Context, call bus.Call, req proto.Message, decide func(*Draft) error) (*inventoryv1.ChangeReply, error) {
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	var (
		done     *inventoryv1.ChangeAt
		msgs     []*nats.Msg
		draft    *Draft
		expected uint64
	)
	err := d.state.View(func(tx *projection.Tx) (err error) {
		if done, err = Record(tx, call.ID); err != nil || done != nil {
			return err
		}
		expected, _ = d.state.Revision(subject.Inventory)
		draft = NewDraft(catalog.Of(tx), d.now())
		if err := decide(draft); err != nil || draft.Empty() {
			return err
		}
		msgs, err = draft.messages(record(call, req, draft.Now))
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case done != nil:
		return d.reply(ctx, done)
	case draft.Empty():
		return &inventoryv1.ChangeReply{CommandId: call.ID}, nil
	}
	if err := d.seal(ctx, draft.secrets); err != nil {
		return nil, err
	}
	return d.store(ctx, call.ID, msgs, expected)
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
			return fault.Unavailablef("not done: a secret could not be stored: %w", err)
		}
	}
	return nil
}

func record(call bus.Call, req proto.Message, now time.Time) *inventoryv1.Change {
	body, err := wire.Marshal(req)
	if err != nil {
		body = nil // the record is worth more than the request's text
	}
	return &inventoryv1.Change{
		CommandId: call.ID, Author: call.Author, Time: now.UTC().Format(time.RFC3339Nano),
		Command: call.Command, Reason: call.Reason, Request: string(body),
	}
}

// store publishes the batch until its outcome is known or the time is over.
func (d *Decider) store(ctx context.Context, id string, msgs []*nats.Msg, expected uint64) (*inventoryv1.ChangeReply, error) {
	if err := d.conn.Up(); err != nil {
		return nil, fault.Unavailablef("not done: %w", err)
	}
	for {
		seq, err := bus.PublishBatch(ctx, d.conn, msgs, expected)
		if err == nil {
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
		select {
		case <-ctx.Done():
			return nil, fault.Unavailablef("outcome unknown, the bus fell silent; see `luna history %s`: %w", id, err)
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
	if done == nil {
		return nil, fmt.Errorf("change %s was stored and is not in the state", id)
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
