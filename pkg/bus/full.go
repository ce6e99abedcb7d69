package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrFull says that a stream, or the bus as a whole, has reached a limit of its
// size: nothing was stored.
var ErrFull = errors.New("the bus is full")

// errIncomplete is JetStream's code for a batch of which it lacks a message.
const errIncomplete jetstream.ErrorCode = 10176

// Codes of JetStream that say that a limit was reached: that of a stream, of
// the server, of its storage and of the account.
const errStoreFailed jetstream.ErrorCode = 10077

var fullCodes = map[jetstream.ErrorCode]bool{errStoreFailed: true, 10023: true, 10047: true, 10002: true}

// Explain makes of an error of publishing on a subject one that names the limit
// that was reached, and what can be done; other errors come back as they are.
func Explain(ctx context.Context, c *Conn, subj string, err error) error {
	code := codeOf(err)
	switch {
	case code == errIncomplete:
		return fmt.Errorf("the bus could not keep the whole change (is its disk full?): %w", err)
	case code == errStoreFailed:
		return errors.Join(ErrFull, fmt.Errorf("%s: %w", streamLimit(ctx, c, StreamOf(subj)), err))
	case fullCodes[code]:
		return errors.Join(ErrFull, fmt.Errorf("the streams together have reached the limit of the NATS server, max_file_store, of which stream %s needs more: make room on its disk and restart it: %w", StreamOf(subj), err))
	case c.NATS.IsConnected() && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the NATS server does not answer (is its disk full? then make room and restart it): %w", err)
	}
	return err
}

// streamLimit tells what a stream may hold.
func streamLimit(ctx context.Context, c *Conn, name string) string {
	stream, err := c.JS.Stream(ctx, name)
	if err != nil {
		return fmt.Sprintf("stream %s takes no more", name)
	}
	now, most := stream.CachedInfo().State, stream.CachedInfo().Config
	var limits []string
	if most.MaxBytes > 0 {
		limits = append(limits, fmt.Sprintf("%d bytes (max_bytes)", most.MaxBytes))
	}
	if most.MaxMsgs > 0 {
		limits = append(limits, fmt.Sprintf("%d messages (max_msgs)", most.MaxMsgs))
	}
	return fmt.Sprintf("stream %s is full: it holds %d bytes in %d messages and may hold %s: raise the limit with `nats stream edit %s`",
		name, now.Bytes, now.Msgs, strings.Join(limits, " and "), name)
}

// codeOf returns JetStream's code of an error; 0 when it has none.
func codeOf(err error) jetstream.ErrorCode {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil {
		return api.APIError().ErrorCode
	}
	return 0
}

// StreamOf returns the name of the stream that a subject belongs to; "" for none.
func StreamOf(subj string) string {
	for _, s := range Streams(1) {
		for _, pattern := range s.Subjects {
			if matches(strings.Split(pattern, "."), strings.Split(subj, ".")) {
				return s.Name
			}
		}
	}
	return ""
}

// matches compares the tokens of a subject with those of a pattern.
func matches(pattern, tokens []string) bool {
	for i, p := range pattern {
		if p == ">" {
			return len(tokens) > i
		}
		if i >= len(tokens) || (p != "*" && p != tokens[i]) {
			return false
		}
	}
	return len(pattern) == len(tokens)
}
