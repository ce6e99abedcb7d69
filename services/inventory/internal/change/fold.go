// Package change turns commands into changes of the inventory: one fenced
// atomic batch each, with a record of who wanted what.
package change

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

const (
	records   = "change"   // command id → ChangeAt
	revisions = "revision" // sequence, 16 hex digits → command id
)

// Fold returns the fold of all objects and of the change records.
func Fold() projection.Fold {
	f := catalog.Fold()
	object := f.Apply
	f.Buckets = append(f.Buckets, records, revisions)
	f.Apply = func(tx *projection.Tx, ev projection.Event) error {
		noun, id, ok := subject.ParseObject(ev.Subject)
		if !ok || catalog.Noun(noun) != catalog.Change {
			return object(tx, ev)
		}
		return applyRecord(tx, id, ev)
	}
	return f
}

func applyRecord(tx *projection.Tx, id string, ev projection.Event) error {
	c := &inventoryv1.Change{}
	if ev.Deleted() || wire.Event(ev.Data, c) != nil {
		return nil
	}
	data, err := proto.Marshal(&inventoryv1.ChangeAt{Revision: ev.Seq, Change: c})
	if err != nil {
		return fmt.Errorf("encode change %s: %w", id, err)
	}
	if err := tx.Put(records, id, data); err != nil {
		return err
	}
	return tx.Put(revisions, revisionKey(ev.Seq), []byte(id))
}

func revisionKey(seq uint64) string { return fmt.Sprintf("%016x", seq) }

// Record returns the record of a command; nil when there is none.
func Record(tx *projection.Tx, commandID string) (*inventoryv1.ChangeAt, error) {
	data, err := tx.Get(records, commandID)
	if err != nil || data == nil {
		return nil, err
	}
	c := &inventoryv1.ChangeAt{}
	if err := proto.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("decode change %s: %w", commandID, projection.ErrDamaged)
	}
	return c, nil
}

// EachRecord calls do for all records, the oldest first, until it returns false.
func EachRecord(tx *projection.Tx, do func(*inventoryv1.ChangeAt) bool) error {
	var bad error
	err := tx.Each(revisions, "", "", func(_ string, id []byte) bool {
		c, err := Record(tx, string(id))
		if bad = err; err != nil {
			return false
		}
		return c == nil || do(c)
	})
	if bad != nil {
		return bad
	}
	return err
}
