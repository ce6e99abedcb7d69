package read

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/diff"
)

const (
	// diffObjects and diffBytes are what an answer holds at most.
	diffObjects = 500
	diffBytes   = 512 << 10
)

// span is what is compared: the inventory right after two revisions.
type span struct {
	from, to uint64
	// since is the time of the first change after from.
	since   time.Time
	touched []*inventoryv1.Touch
	names   map[string]string
}

// Diff tells what one change changed, or all from one revision up to another.
func (r *Reader) Diff(ctx context.Context, _ bus.Call, req *inventoryv1.DiffRequest) (*inventoryv1.DiffReply, error) {
	s, err := r.span(ctx, req)
	if err != nil {
		return nil, err
	}
	before, err := r.decider.At(ctx, s.touched, s.from)
	if err != nil {
		return nil, err
	}
	after, err := r.decider.At(ctx, s.touched, s.to)
	if err != nil {
		return nil, err
	}
	if err := r.nameAll(s, before, after); err != nil {
		return nil, err
	}
	rep := &inventoryv1.DiffReply{From: s.from, To: s.to}
	size := 0
	for _, t := range s.touched {
		o := s.compare(t, before, after)
		if o == nil {
			continue
		}
		if size += proto.Size(o); len(rep.Objects) == diffObjects || size > diffBytes {
			rep.More++
			continue
		}
		rep.Objects = append(rep.Objects, o)
	}
	return rep, nil
}

// span finds what was touched between the revisions of a request.
func (r *Reader) span(ctx context.Context, req *inventoryv1.DiffRequest) (*span, error) {
	if req.To != 0 {
		return r.between(ctx, req)
	}
	c, err := r.decider.Find(ctx, req.Revision, req.CommandId)
	if err != nil {
		return nil, err
	}
	s := &span{from: first(c), to: c.Revision, names: map[string]string{}}
	s.add(c)
	return s, nil
}

// first is the revision that a change found.
func first(c *inventoryv1.ChangeAt) uint64 { return c.Revision - uint64(len(c.Change.Touched)) - 1 }

func (r *Reader) between(ctx context.Context, req *inventoryv1.DiffRequest) (*span, error) {
	if req.CommandId != "" {
		return nil, fault.Invalidf("a command's id is for one change: between two, say two revisions")
	}
	if req.Revision == 0 || req.Revision >= req.To {
		return nil, fault.Invalidf("the first revision must be before the second, as in 41 45, not %d %d", req.Revision, req.To)
	}
	if err := r.decider.Refresh(ctx); err != nil {
		return nil, err
	}
	newest, _ := r.state.Revision(subject.Inventory)
	if req.To > newest {
		return nil, fault.NotFoundf("there is no revision %d yet: the newest is %d", req.To, newest)
	}
	s := &span{from: req.Revision, to: req.To, names: map[string]string{}}
	oldest, count := uint64(0), 0
	err := r.state.View(func(tx *projection.Tx) error {
		return change.EachRecord(tx, func(c *inventoryv1.ChangeAt) bool {
			if count++; oldest == 0 {
				oldest = first(c)
			}
			if c.Revision > s.from && c.Revision <= s.to {
				s.add(c)
			}
			return true
		})
	})
	if err == nil && count >= change.Kept && s.from < oldest {
		err = fault.NotFoundf("what was changed up to revision %d is kept no more", oldest)
	}
	return s, err
}

// add takes what a change touched, each object once.
func (s *span) add(c *inventoryv1.ChangeAt) {
	if s.since.IsZero() {
		s.since, _ = time.Parse(time.RFC3339Nano, c.Change.Time)
	}
	for _, t := range c.Change.Touched {
		if catalog.Noun(t.Noun) == catalog.Rest {
			continue
		}
		key := t.Noun + "/" + t.Id
		if _, there := s.names[key]; !there {
			s.touched = append(s.touched, t)
		}
		s.names[key], s.names[t.Id] = t.Name, t.Name
	}
}

// compare returns how one object became different; nil when it did not.
func (s *span) compare(t *inventoryv1.Touch, before, after map[string]proto.Message) *inventoryv1.ObjectDiff {
	subj := subject.Object(t.Noun, t.Id)
	old, oldKnown := before[subj]
	now, nowKnown := after[subj]
	o := &inventoryv1.ObjectDiff{Noun: t.Noun, Name: s.names[t.Noun+"/"+t.Id]}
	switch {
	case !nowKnown, !oldKnown && s.older(t.Id):
		o.What = "lost"
		return o
	case old == nil && now == nil:
		return nil
	case old == nil:
		o.What = "added"
	case now == nil:
		o.What, o.Name = "deleted", catalog.NameOf(old)
	default:
		o.What, o.Name = "changed", catalog.NameOf(now)
	}
	o.Fields = diff.Fields(old, now, func(id string) string { return s.names[id] })
	if o.What == "changed" && len(o.Fields) == 0 {
		return nil
	}
	return o
}

// older tells whether an object was made before what is compared: then its
// message of that time is gone from the stream.
func (s *span) older(id string) bool {
	u, err := ulid.ParseStrict(id)
	return err == nil && ulid.Time(u.Time()).Before(s.since.Truncate(time.Millisecond))
}

// nameAll finds the names of what the objects refer to: those of now, else
// those that records tell of.
func (r *Reader) nameAll(s *span, sides ...map[string]proto.Message) error {
	return r.state.View(func(tx *projection.Tx) error {
		missing := false
		for _, side := range sides {
			for _, m := range side {
				if m == nil {
					continue
				}
				o := catalog.Wrap(m)
				if err := change.AddNames(catalog.Of(tx), s.names, o); err != nil {
					return err
				}
				for _, ref := range change.References(o) {
					missing = missing || ref.ID != "" && s.names[ref.ID] == ""
				}
			}
		}
		if !missing {
			return nil
		}
		return change.EachRecord(tx, func(c *inventoryv1.ChangeAt) bool {
			for _, t := range c.Change.Touched {
				if s.names[t.Id] == "" {
					s.names[t.Id] = t.Name
				}
			}
			return true
		})
	})
}
