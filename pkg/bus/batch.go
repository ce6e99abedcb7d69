package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// MaxBatch is how many messages one atomic batch may have; the server must be
// set to it, since its own default is 1,000.
const MaxBatch = 50000

// ErrFenced says that the stream has moved on since the batch was decided: it
// was not stored, or it was already by an earlier try.
var ErrFenced = errors.New("the stream has moved on")

// ErrUncommitted says that a batch was not sent to its end: nothing of it was
// stored or will be.
var ErrUncommitted = errors.New("the batch was not committed")

// ackTime is how long the server may take to answer one message. The answer to
// a commit can be lost with the server that would have sent it.
const ackTime = 5 * time.Second

// Codes of JetStream that say that a batch met another one.
var fencedCodes = map[jetstream.ErrorCode]bool{10071: true, 10164: true, 10201: true}

// PublishBatch stores messages as one atomic batch if the stream's last
// sequence is still expected, and returns the sequence of the last of them.
// ErrFenced means that it is not so, ErrUncommitted that the batch was given up
// before its end or refused, ErrFull with it that a limit was reached; any other
// error leaves the outcome open.
func PublishBatch(ctx context.Context, c *Conn, messages []*nats.Msg, expected uint64) (uint64, error) {
	if len(messages) == 0 || len(messages) > MaxBatch {
		return 0, uncommitted(fmt.Errorf("a change must have 1 to %d messages, not %d", MaxBatch, len(messages)))
	}
	wait := ackTime
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(min(wait, time.Until(deadline)), time.Millisecond)
	}
	p, err := jetstreamext.NewBatchPublisher(c.JS, jetstreamext.BatchFlowControl{AckFirst: true, AckEvery: 1000, AckTimeout: wait})
	if err != nil {
		return 0, uncommitted(fmt.Errorf("begin batch: %w", err))
	}
	fence := jetstreamext.WithBatchExpectLastSequence(expected)
	last := len(messages) - 1
	for i, m := range messages[:last] {
		var opts []jetstreamext.BatchMsgOpt
		if i == 0 {
			opts = append(opts, fence)
		}
		if err := p.AddMsg(m, opts...); err != nil {
			return 0, fenced(uncommitted(Explain(ctx, c, m.Subject, fmt.Errorf("add to batch: %w", err))))
		}
	}
	return commit(ctx, c, p, messages[last], last == 0, fence)
}

func commit(ctx context.Context, c *Conn, p jetstreamext.BatchPublisher, m *nats.Msg, only bool, fence jetstreamext.BatchMsgOpt) (uint64, error) {
	wait, cancel := context.WithTimeout(ctx, ackTime)
	defer cancel()
	var opts []jetstreamext.BatchMsgOpt
	if only {
		opts = append(opts, fence)
	}
	ack, err := p.CommitMsg(wait, m, opts...)
	if err != nil {
		err = Explain(ctx, c, m.Subject, fmt.Errorf("commit batch: %w", err))
		if codeOf(err) != 0 { // the server looks at the whole batch before it stores any of it
			err = uncommitted(err)
		}
		return 0, fenced(err)
	}
	return ack.Sequence, nil
}

func uncommitted(err error) error { return errors.Join(ErrUncommitted, err) }

func fenced(err error) error {
	if fencedCodes[codeOf(err)] {
		return errors.Join(ErrFenced, err)
	}
	return err
}
