package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/wire"
)

// quiet is how long after a reply another head may take for its own.
const quiet = 300 * time.Millisecond

// Gather sends a command that every head answers (Endpoint.Everywhere) and returns the replies of
// all that answer, each into a message of its own. One that refuses is an error; nobody is
// Unavailable.
func Gather[Rep proto.Message](ctx context.Context, c *Conn, subj string, req proto.Message, rep Rep) (all []Rep, err error) {
	data, err := wire.Marshal(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withDefaultDeadline(ctx)
	defer cancel()
	inbox := c.NATS.NewInbox()
	sub, err := c.NATS.SubscribeSync(inbox)
	if err != nil {
		return nil, fault.Unavailablef("not done: the bus does not answer: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	msg := &nats.Msg{Subject: subj, Reply: inbox, Data: data, Header: requestHeader(ctx)}
	if err := c.NATS.PublishMsg(msg); err != nil {
		return nil, fault.Unavailablef("not done: the bus does not answer: %w", err)
	}
	for wait := time.Duration(0); ; wait = quiet {
		got, err := next(ctx, sub, wait)
		switch {
		case err != nil && len(all) > 0 && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			return all, nil
		case err != nil:
			return nil, requestError(subj, msg.Header.Get(HeaderCommandID), err)
		case len(got.Data) == 0 && got.Header.Get("Status") == "503":
			return nil, requestError(subj, "", nats.ErrNoResponders)
		}
		one := proto.Clone(rep).(Rep)
		if err := decodeReply(got, subj, one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
}

// next waits for a message; 0 is as long as ctx lasts.
func next(ctx context.Context, sub *nats.Subscription, wait time.Duration) (*nats.Msg, error) {
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	return sub.NextMsgWithContext(ctx)
}
