package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	bolt "go.etcd.io/bbolt"

	"github.com/luna-hpc/luna/pkg/bus"
)

const (
	batchID     = "Nats-Batch-Id"
	batchCommit = "Nats-Batch-Commit"
)

// reader turns the messages of one subscription into transactions.
type reader struct {
	state    *State
	fold     Fold
	stream   jetstream.Stream
	consumer jetstream.Consumer
	rebuild  bool
	cur      cursor

	next  uint64  // consumer sequence that must come next
	batch string  // id of the open batch
	open  []Event // events of a batch whose end was not seen
	ready []Event // events that may be applied
}

// read applies messages until ctx ends, connected is closed or the consumer fails.
func (r *reader) read(ctx context.Context, c jetstream.Consumer, connected <-chan struct{}) error {
	it, err := c.Messages(jetstream.PullMaxMessages(2*flushAt), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-connected:
		case <-ctx.Done():
		}
		it.Stop()
	}()
	r.consumer, r.next = c, 1
	if c.CachedInfo().NumPending == 0 {
		if err := r.caughtUp(ctx); err != nil {
			return err
		}
	}
	for {
		msg, err := r.nextMessage(ctx, it)
		select {
		case <-connected:
			return errAgain
		default:
		}
		switch {
		case errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded):
			if err := r.closeTrimmed(ctx); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			if err := r.take(ctx, msg); err != nil {
				return err
			}
		}
	}
}

// nextMessage waits for a message, with a limit while a batch is open.
func (r *reader) nextMessage(ctx context.Context, it jetstream.MessagesContext) (jetstream.Msg, error) {
	if len(r.open) == 0 {
		return it.Next()
	}
	ctx, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	return it.Next(jetstream.NextContext(ctx))
}

// take sorts one message into its batch and applies what is complete.
func (r *reader) take(ctx context.Context, msg jetstream.Msg) error {
	md, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("message without metadata: %w", err)
	}
	if md.Sequence.Consumer != r.next {
		return fmt.Errorf("message %d of the consumer was lost: %w", r.next, errAgain)
	}
	r.next++
	ev := Event{Stream: r.fold.Stream, Subject: msg.Subject(), Seq: md.Sequence.Stream, Time: md.Timestamp, Data: msg.Data()}
	r.sort(ev, msg.Headers())
	if r.rebuild {
		if md.NumPending == 0 && len(r.open) == 0 {
			return r.caughtUp(ctx)
		}
		return nil
	}
	if md.NumPending == 0 || len(r.ready) >= flushAt {
		if err := r.flush(); err != nil {
			return err
		}
	}
	if md.NumPending == 0 && len(r.open) == 0 {
		r.markLive()
	}
	return nil
}

// sort puts an event behind the open batch, ends that batch, or both. A batch
// ends at its commit or at the first message of anything else: its own last
// messages may have been trimmed from the stream.
func (r *reader) sort(ev Event, h nats.Header) {
	id := h.Get(batchID)
	if id != r.batch {
		r.endBatch()
	}
	if id == "" {
		r.ready = append(r.ready, ev)
		return
	}
	r.batch = id
	r.open = append(r.open, ev)
	if h.Get(batchCommit) != "" {
		r.endBatch()
	}
}

func (r *reader) endBatch() {
	r.ready = append(r.ready, r.open...)
	r.open, r.batch = nil, ""
}

// errHalf says that a stream ends inside a batch. A server writes a batch behind the others only
// when all of it was written elsewhere; when its disk is full just then, part of it stands in the
// stream, and the rest comes when the server is started again.
var errHalf = errors.New("the stream ends inside a change, since the server could not write the rest: make room on its disk and restart it")

// closeTrimmed ends an open batch when the stream goes on after it and has nothing more to deliver:
// its last messages were taken out of the stream since. Half a batch is never applied.
func (r *reader) closeTrimmed(ctx context.Context) error {
	if len(r.open) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	info, err := r.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("look for the end of a batch: %w", err)
	}
	if info.State.LastSeq == r.open[len(r.open)-1].Seq {
		r.state.note(r.fold.Stream, func(p *progress) { p.halted, p.age.Live, p.age.Trouble = errHalf, false, errHalf.Error() })
		return nil
	}
	c, err := r.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("look for the end of a batch: %w", err)
	}
	if c.NumPending > 0 || c.Delivered.Consumer >= r.next {
		return nil // more is on its way
	}
	r.endBatch()
	return r.caughtUp(ctx)
}

// errBehind says that a stream is delivered by a server that has less of it than its leader.
var errBehind = errors.New("the server that delivers the stream has not all of it yet")

// caughtUp applies all that was read and marks the fold as following. A rebuild passes for as new as the stream was when
// it began, since what stood at its end may be deleted; not where the consumer's server just has not got it yet.
func (r *reader) caughtUp(ctx context.Context) error {
	if last := r.delivered(); r.rebuild && last < r.cur.Seq {
		ctx, cancel := context.WithTimeout(ctx, heartbeat)
		defer cancel()
		more, err := bus.Beyond(ctx, r.state.conn, r.fold.Stream, last)
		if err != nil {
			return err
		}
		if more {
			return errBehind
		}
	}
	if err := r.flush(); err != nil {
		return err
	}
	r.markLive()
	return nil
}

// delivered is the sequence of the last event that was read and not applied yet; 0 is none.
func (r *reader) delivered() (seq uint64) {
	for _, ev := range r.ready {
		seq = max(seq, ev.Seq)
	}
	return seq
}

func (r *reader) markLive() {
	r.state.note(r.fold.Stream, func(p *progress) {
		p.halted, p.age.Live, p.age.Trouble, p.age.Checked = nil, true, "", time.Now()
	})
}

// flush applies the ready events in one transaction; a rebuild empties the
// buckets in the same one, so readers see the old state until the new is whole.
func (r *reader) flush() error {
	if len(r.ready) == 0 && !r.rebuild {
		return nil
	}
	cur := r.cur
	err := r.state.update(func(tx *Tx, btx *bolt.Tx) error {
		if r.rebuild {
			if err := reset(btx, r.fold); err != nil {
				return err
			}
			cur.Tally = tally{}
		}
		for _, ev := range r.ready {
			if err := r.fold.Apply(tx, ev); err != nil {
				return fmt.Errorf("apply message %d of %s: %w", ev.Seq, r.fold.Stream, err)
			}
			if ev.Seq >= cur.Seq {
				cur.Seq, cur.Time = ev.Seq, ev.Time
			}
		}
		cur.Tally.change(tx.delta)
		return cur.write(tx, r.fold.Stream)
	})
	if err != nil {
		return err
	}
	applied, anew := r.ready, r.rebuild
	r.cur, r.ready, r.rebuild = cur, nil, false
	r.state.note(r.fold.Stream, func(p *progress) {
		p.usable, p.age.Revision, p.age.Changed = true, cur.Seq, cur.Time
		if anew {
			p.trail = r.state.newTrail(cur.Seq)
			return
		}
		p.trail.add(applied)
	})
	return nil
}
