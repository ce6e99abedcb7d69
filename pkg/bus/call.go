package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/wire"
)

// Headers of a command; all may be absent.
const (
	HeaderCommandID = "Luna-Command-Id"
	HeaderAuthor    = "Luna-Author"
	HeaderReason    = "Luna-Reason"
	// HeaderDeadline is the RFC 3339 time after which the command is refused.
	HeaderDeadline = "Luna-Deadline"
	// HeaderDryRun is "true" on a command that is to tell what it would do.
	HeaderDryRun = "Luna-Dry-Run"
)

// Call is what a command says of itself beside its message.
type Call struct {
	// ID is made by the requester; a repeated id is done once.
	ID       string
	Author   string
	Reason   string
	Deadline time.Time
	// DryRun asks what the command would do; nothing is done.
	DryRun bool
	// Command is the subject without its prefix, as in inventory.node.add.
	Command string
}

type callKey struct{}

// WithCall returns a context whose requests carry the id, author, reason and dry run of a call.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// Request sends a command and decodes the reply. Without a deadline in ctx it
// waits 30 seconds. Errors are faults: what the service said, or Unavailable
// when nobody answered.
func Request[Rep proto.Message](ctx context.Context, c *Conn, subj string, req proto.Message, rep Rep) (Rep, error) {
	data, err := wire.Marshal(req)
	if err != nil {
		return rep, fmt.Errorf("encode %s: %w", subj, err)
	}
	ctx, cancel := withDefaultDeadline(ctx)
	defer cancel()
	msg := &nats.Msg{Subject: subj, Data: data, Header: requestHeader(ctx)}
	got, err := c.NATS.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return rep, requestError(subj, msg.Header.Get(HeaderCommandID), err)
	}
	return rep, decodeReply(got, subj, rep)
}

// decodeReply takes a reply apart, into rep or into a fault.
func decodeReply(got *nats.Msg, subj string, rep proto.Message) error {
	if text := got.Header.Get("Nats-Service-Error"); text != "" {
		code, _ := strconv.Atoi(got.Header.Get("Nats-Service-Error-Code"))
		return fault.New(fault.FromCode(code), "%s", text)
	}
	if err := wire.Event(got.Data, rep); err != nil {
		return fmt.Errorf("decode the reply to %s: %w", subj, err)
	}
	return nil
}

func withDefaultDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, 30*time.Second)
}

func requestHeader(ctx context.Context) nats.Header {
	h := nats.Header{}
	call, _ := ctx.Value(callKey{}).(Call)
	if call.ID == "" {
		call.ID = NewID()
	}
	h.Set(HeaderCommandID, call.ID)
	if call.Author != "" {
		h.Set(HeaderAuthor, call.Author)
	}
	if call.Reason != "" {
		h.Set(HeaderReason, call.Reason)
	}
	if call.DryRun {
		h.Set(HeaderDryRun, "true")
	}
	if d, ok := ctx.Deadline(); ok {
		h.Set(HeaderDeadline, d.UTC().Format(time.RFC3339Nano))
	}
	return h
}

// requestError tells what came of a command that got no reply.
func requestError(subj, id string, err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fault.Unavailablef("not done: nobody answers on %s; is the service running?", subj)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, nats.ErrTimeout):
		return fault.Unavailablef("outcome unknown, no answer on %s in time; see `luna history %s`", subj, id)
	}
	return fault.Unavailablef("not done: the bus does not answer: %w", err) // it was not sent
}
