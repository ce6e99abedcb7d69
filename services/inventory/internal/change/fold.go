// Package change turns commands into changes of the inventory: one fenced
// atomic batch each, with a record of who wanted what.
package change

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Kept is how many change records are kept; older ones go, from the state as from the stream.
const Kept = 10000

const (
	records   = "change"   // command id → ChangeAt
	revisions = "revision" // sequence, 16 hex digits → command id
	counts    = "count"    // "change" → how many records there are
)

// Fold returns the fold of all objects and of the change records.
func Fold() projection.Fold {
	f := catalog.Fold()
	object := f.Apply
	f.Version += 100 // versions of the records beside those of the objects
	f.Buckets = append(f.Buckets, records, revisions, counts)
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
	if ev.Deleted() {
		return nil
	}
	c, err := decode(ev.Data)
	if err != nil {
		return nil //nolint:nilerr // a message that is no record is no reason to stop following
	}
	old, err := Record(tx, id)
	if err != nil {
		return err
	}
	if old != nil {
		if err := tx.Delete(revisions, revisionKey(old.Revision)); err != nil {
			return err
		}
	}
	data, err := proto.Marshal(&inventoryv1.ChangeAt{Revision: ev.Seq, Change: c})
	if err != nil {
		return fmt.Errorf("encode change %s: %w", id, err)
	}
	if err := tx.Put(records, id, data); err != nil {
		return err
	}
	if err := tx.Put(revisions, revisionKey(ev.Seq), []byte(id)); err != nil {
		return err
	}
	if old != nil {
		return nil
	}
	return forget(tx)
}

// forget counts a new record and drops the oldest beyond those that are kept.
func forget(tx *projection.Tx) error {
	n, err := tx.Get(counts, records)
	if err != nil {
		return err
	}
	count := 1
	if n != nil {
		count += int(binary.BigEndian.Uint32(n))
	}
	for ; count > Kept; count-- {
		var key, id string
		err := tx.Each(revisions, "", "", func(k string, v []byte) bool { key, id = k, string(v); return false })
		if err != nil {
			return err
		}
		if err := errors.Join(tx.Delete(revisions, key), tx.Delete(records, id)); err != nil {
			return err
		}
	}
	return tx.Put(counts, records, binary.BigEndian.AppendUint32(nil, uint32(count)))
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
