package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Beyond tells whether a stream holds a message after a sequence. Its leader is asked, and not one of the copies that may
// answer other readers: these can be behind.
func Beyond(ctx context.Context, c *Conn, stream string, seq uint64) (bool, error) {
	ask, err := json.Marshal(map[string]any{"seq": seq + 1, "next_by_subj": ">"})
	if err != nil {
		return false, err
	}
	msg, err := c.NATS.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, ask)
	if err != nil {
		return false, fmt.Errorf("look for messages after %d of %s: %w", seq, stream, err)
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return false, fmt.Errorf("look for messages after %d of %s: %w", seq, stream, err)
	}
	switch {
	case answer.Error == nil:
		return true, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return false, nil
	}
	return false, fmt.Errorf("look for messages after %d of %s: %w", seq, stream, answer.Error)
}
