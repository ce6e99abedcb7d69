package change

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// batch is how many subjects one request for old messages names.
const batch = 500

// Find returns the record of a revision or of a command; NotFound when there is none.
func (d *Decider) Find(ctx context.Context, revision uint64, commandID string) (*inventoryv1.ChangeAt, error) {
	if (revision == 0) == (commandID == "") {
		return nil, fault.Invalidf("say a revision or a command's id: one of them")
	}
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	var found *inventoryv1.ChangeAt
	err := d.state.View(func(tx *projection.Tx) (err error) {
		id := commandID
		if revision != 0 {
			data, err := tx.Get(revisions, revisionKey(revision))
			if err != nil {
				return err
			}
			id = string(data)
		}
		if id != "" {
			found, err = Record(tx, id)
		}
		return err
	})
	if err == nil && found == nil {
		err = fault.NotFoundf("there is no change %d%s: `luna history` lists the last %d", revision, commandID, Kept)
	}
	return found, err
}

// Past returns the objects that a change touched as they were before it, by
// their subjects; those that were not there are nil.
func (d *Decider) Past(ctx context.Context, c *inventoryv1.ChangeAt) (map[string]proto.Message, error) {
	return d.At(ctx, c.Change.Touched, c.Revision-uint64(len(c.Change.Touched))-1)
}

// At returns objects as they were at a revision, by their subjects; those that
// were deleted then are nil, and those that the stream has nothing of are left out.
func (d *Decider) At(ctx context.Context, touched []*inventoryv1.Touch, revision uint64) (map[string]proto.Message, error) {
	past := map[string]proto.Message{}
	for len(touched) > 0 && revision > 0 {
		n := min(len(touched), batch)
		if err := d.past(ctx, touched[:n], revision, past); err != nil {
			return nil, fault.Unavailablef("what was at revision %d cannot be read: %w", revision, err)
		}
		touched = touched[n:]
	}
	return past, nil
}

func (d *Decider) past(ctx context.Context, touched []*inventoryv1.Touch, upTo uint64, into map[string]proto.Message) error {
	var subjects []string
	noun := map[string]catalog.Noun{}
	for _, t := range touched {
		s := subject.Object(t.Noun, t.Id)
		subjects, noun[s] = append(subjects, s), catalog.Noun(t.Noun)
	}
	msgs, err := jetstreamext.GetLastMsgsFor(ctx, d.conn.JS, subject.Inventory, subjects, jetstreamext.GetLastMsgsUpToSeq(upTo))
	if err != nil {
		return err
	}
	for msg, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) || errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(msg.Data) == 0 {
			into[msg.Subject] = nil
			continue
		}
		m := catalog.Empty(noun[msg.Subject])
		if m == nil {
			return fmt.Errorf("%s is of a later version", msg.Subject)
		}
		if err := wire.Event(msg.Data, m); err != nil {
			return fmt.Errorf("read %s: %w", msg.Subject, err)
		}
		into[msg.Subject] = m
	}
	return nil
}
