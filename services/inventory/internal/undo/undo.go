// Package undo decides about taking a change back.
package undo

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// Before gives what a change found: an object as it was, nil when it was not.
type Before func(noun catalog.Noun, id string) proto.Message

// Decide writes all objects of a change as they were before it. It is a
// Conflict when one was changed since, or when something depends on it.
func Decide(d *change.Draft, done *inventoryv1.ChangeAt, before Before) error {
	first := done.Revision - uint64(len(done.Change.Touched))
	for i, t := range done.Change.Touched {
		noun := catalog.Noun(t.Noun)
		if noun == catalog.Rest {
			continue // made of what follows
		}
		if err := untouched(d, t, first+uint64(i), done.Revision); err != nil {
			return err
		}
		if old := before(noun, t.Id); old != nil {
			d.Put(t.Id, proto.Clone(old))
		} else {
			d.Delete(noun, t.Id, t.Name)
		}
	}
	if err := addresses(d, done, before); err != nil {
		return err
	}
	return fits(d, done, before)
}

// untouched is a Conflict when an object is not as the change left it.
func untouched(d *change.Draft, t *inventoryv1.Touch, seq, revision uint64) error {
	o, err := d.Object(catalog.Noun(t.Noun), t.Id)
	switch {
	case err != nil:
		return err
	case t.Deleted && o != nil, !t.Deleted && o == nil:
		return fault.Conflictf("%s %s was changed after revision %d: undo that first", t.Noun, t.Name, revision)
	case o != nil && o.Sequence != seq:
		return fault.Conflictf("%s %s was changed after revision %d, at %d: undo that first", t.Noun, t.Name, revision, o.Sequence)
	}
	return nil
}

// addresses gives up those that the change gave, and takes back those that it took.
func addresses(d *change.Draft, done *inventoryv1.ChangeAt, before Before) error {
	set := address.NewSet(d)
	var back []address.Holding
	for _, t := range done.Change.Touched {
		noun := catalog.Noun(t.Noun)
		now, err := d.Object(noun, t.Id)
		if err != nil {
			return err
		}
		var is []address.Holding
		if now != nil {
			_, m := catalog.Unwrap(now)
			is = address.Held(m)
		}
		was := address.Held(before(noun, t.Id))
		for _, h := range is {
			if !slices.Contains(was, h) {
				release(set, h)
			}
		}
		for _, h := range was {
			if !slices.Contains(is, h) {
				back = append(back, h)
			}
		}
	}
	for _, h := range back {
		if err := take(d, set, h); err != nil {
			return err
		}
	}
	return nil
}

// release lets an address rest; one of a network that goes too needs none.
func release(set *address.Set, h address.Holding) {
	if a, err := set.Of(h.NetworkID); err == nil {
		a.Release(h.Address)
	}
}

// take takes an address back for who had it, resting or not.
func take(d *change.Draft, set *address.Set, h address.Holding) error {
	if n, err := d.Network(h.NetworkID); err != nil || n == nil {
		return err // its network comes back in this change, with nobody in it
	}
	a, err := set.Of(h.NetworkID)
	if err != nil {
		return err
	}
	a.Wake(h.Address)
	return a.Take(h.Address)
}
