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
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	msg, err := c.NATS.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, fmt.Appendf(nil, `{"seq": %d, "next_by_subj": ">"}`, seq+1))
	if err == nil {
		err = json.Unmarshal(msg.Data, &answer)
	}
	switch {
	case err == nil && answer.Error == nil:
		return true, nil
	case err == nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return false, nil
	case err == nil:
		err = answer.Error
	}
	return false, fmt.Errorf("look for messages after %d of %s: %w", seq, stream, err)
}
