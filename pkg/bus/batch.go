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

// Codes of JetStream that say that a batch met another one.
var fencedCodes = map[jetstream.ErrorCode]bool{10071: true, 10164: true, 10201: true}

// PublishBatch stores messages as one atomic batch if the stream's last
// sequence is still expected, and returns the sequence of the last of them.
// ErrFenced means that it is not so; any other error leaves the outcome open.
func PublishBatch(ctx context.Context, c *Conn, messages []*nats.Msg, expected uint64) (uint64, error) {
	if len(messages) > MaxBatch {
		return 0, fmt.Errorf("a change of %d messages is over the limit of %d", len(messages), MaxBatch)
	}
	p, err := jetstreamext.NewBatchPublisher(c.JS, jetstreamext.BatchFlowControl{AckFirst: true, AckEvery: 1000, AckTimeout: 10 * time.Second})
	if err != nil {
		return 0, fmt.Errorf("begin batch: %w", err)
	}
	last := len(messages) - 1
	for i, m := range messages[:last] {
		var opts []jetstreamext.BatchMsgOpt
		if i == 0 {
			opts = append(opts, jetstreamext.WithBatchExpectLastSequence(expected))
		}
		if err := p.AddMsg(m, opts...); err != nil {
			return 0, fenced(fmt.Errorf("add to batch: %w", err))
		}
	}
	var opts []jetstreamext.BatchMsgOpt
	if last == 0 {
		opts = append(opts, jetstreamext.WithBatchExpectLastSequence(expected))
	}
	ack, err := p.CommitMsg(ctx, messages[last], opts...)
	if err != nil {
		return 0, fenced(fmt.Errorf("commit batch: %w", err))
	}
	return ack.Sequence, nil
}

func fenced(err error) error {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil && fencedCodes[api.APIError().ErrorCode] {
		return errors.Join(ErrFenced, err)
	}
	return err
}
