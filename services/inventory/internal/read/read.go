// Package read answers questions about the inventory.
package read

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

const (
	pageSize = 500
	maxPage  = 2000
	// pageBytes is how much a page holds beside its first object: scripts are long, messages are not.
	pageBytes = 512 << 10
)

// Reader answers from the state.
type Reader struct {
	state   *projection.State
	decider *change.Decider
}

// New returns a reader; the decider brings the state up to date.
func New(state *projection.State, decider *change.Decider) *Reader {
	return &Reader{state: state, decider: decider}
}

// fresh waits for the stream's last message; without JetStream the answer may be old.
func (r *Reader) fresh(ctx context.Context) (revision uint64, old bool) {
	if err := r.decider.Refresh(ctx); err != nil {
		old = true
	}
	revision, _ = r.state.Revision(subject.Inventory)
	return revision, old
}

// Show returns one object of a noun.
func (r *Reader) Show(noun catalog.Noun) func(context.Context, bus.Call, *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
	return func(ctx context.Context, _ bus.Call, req *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
		name := req.Name
		if noun == catalog.Cluster {
			name = string(catalog.Cluster)
		}
		rep := &inventoryv1.ShowReply{Names: map[string]string{}}
		rep.Revision, rep.MayBeOld = r.fresh(ctx)
		err := catalog.Read(r.state, func(v catalog.View) (err error) {
			if rep.Object, err = v.Find(noun, name); err != nil {
				return err
			}
			if rep.Object == nil && noun == catalog.Cluster {
				return fault.NotFoundf("there is no cluster yet: `luna cluster init --frontend_address A`")
			}
			if rep.Object == nil {
				return fault.NotFoundf("there is no %s %q", noun, name)
			}
			return change.AddNames(v, rep.Names, rep.Object)
		})
		if err != nil {
			return nil, err
		}
		return rep, nil
	}
}

// List returns a page of the objects of a noun by name.
func (r *Reader) List(noun catalog.Noun) func(context.Context, bus.Call, *inventoryv1.ListRequest) (*inventoryv1.ListReply, error) {
	return func(ctx context.Context, _ bus.Call, req *inventoryv1.ListRequest) (*inventoryv1.ListReply, error) {
		rep := &inventoryv1.ListReply{Names: map[string]string{}}
		rep.Revision, rep.MayBeOld = r.fresh(ctx)
		err := catalog.Read(r.state, func(v catalog.View) error { return page(v, noun, req, rep) })
		if err != nil {
			return nil, err
		}
		return rep, nil
	}
}

func page(v catalog.View, noun catalog.Noun, req *inventoryv1.ListRequest, rep *inventoryv1.ListReply) error {
	group := ""
	if req.Group != "" {
		o, err := v.Find(catalog.Group, req.Group)
		if err != nil {
			return err
		}
		if o == nil {
			return fault.NotFoundf("there is no group %q", req.Group)
		}
		group = o.GetGroup().Id
	}
	limit := int(req.Limit)
	if limit == 0 {
		limit = pageSize
	}
	limit = min(limit, maxPage)
	size := 0
	var bad error
	err := v.EachName(noun, req.After, func(name, id string) bool {
		o, err := v.Object(noun, id)
		if bad = err; err != nil {
			return false
		}
		if o == nil || (group != "" && o.GetNode().GetGroupId() != group) {
			return true
		}
		if size += proto.Size(o); len(rep.Objects) == limit || size > pageBytes && len(rep.Objects) > 0 {
			rep.Next = lastName(rep.Objects)
			return false
		}
		rep.Objects = append(rep.Objects, o)
		return true
	})
	if bad != nil {
		return bad
	}
	if err != nil {
		return err
	}
	return change.AddNames(v, rep.Names, rep.Objects...)
}

func lastName(os []*inventoryv1.Object) string {
	_, m := catalog.Unwrap(os[len(os)-1])
	return catalog.NameOf(m)
}

// History returns the record of one command, or the newest records. That a
// command was not done is told only by a state that is up to date.
func (r *Reader) History(ctx context.Context, _ bus.Call, req *inventoryv1.HistoryRequest) (*inventoryv1.HistoryReply, error) {
	revision, old := r.fresh(ctx)
	rep := &inventoryv1.HistoryReply{}
	limit := int(req.Limit)
	if limit == 0 {
		limit = 50
	}
	limit = min(limit, pageSize)
	err := r.state.View(func(tx *projection.Tx) error {
		if req.CommandId != "" {
			c, err := change.Record(tx, req.CommandId)
			if err == nil && c == nil {
				err = unrecorded(req.CommandId, revision, old)
			}
			if err != nil {
				return err
			}
			rep.Changes = []*inventoryv1.ChangeAt{c}
			return nil
		}
		return change.EachRecord(tx, func(c *inventoryv1.ChangeAt) bool {
			if req.Name == "" || c.Change.CommandId == req.Name || touches(c.Change, req.Name) {
				rep.Changes = append(rep.Changes, c)
			}
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	rep.Changes = rep.Changes[max(0, len(rep.Changes)-limit):]
	for _, c := range rep.Changes {
		c.Change.Touched = c.Change.Touched[:min(len(c.Change.Touched), 200)]
	}
	return rep, nil
}

// unrecorded tells what it means that a state has no record of a command.
func unrecorded(id string, revision uint64, old bool) error {
	if old {
		return fault.Unavailablef("outcome unknown: there is no change by command %s up to revision %d, and the bus does not tell what came after it", id, revision)
	}
	return fault.NotFoundf("there is no change by command %s up to revision %d: it was not done, or more than %d changes ago", id, revision, change.Kept)
}

func touches(c *inventoryv1.Change, name string) bool {
	for _, t := range c.Touched {
		if t.Name == name {
			return true
		}
	}
	return false
}
