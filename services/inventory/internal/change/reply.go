package change

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// A reply holds that many objects at most, and what goes beyond that many bytes
// is left out: more would not fit a message.
const (
	replyObjects = 100
	replyBytes   = 512 << 10
)

// reply tells what a stored change did. Its objects are as the change left
// them: a batch's messages have the sequences right before its record's.
func (d *Decider) reply(ctx context.Context, done *inventoryv1.ChangeAt) (*inventoryv1.ChangeReply, error) {
	rep := &inventoryv1.ChangeReply{Revision: done.Revision, CommandId: done.Change.CommandId, Names: map[string]string{}, Notes: done.Change.Notes}
	touched := done.Change.Touched
	first := done.Revision - uint64(len(touched))
	size := 0
	for i, t := range touched {
		if t.Deleted || catalog.Noun(t.Noun) == catalog.Rest {
			continue
		}
		if len(rep.Objects) == replyObjects {
			break
		}
		o, err := d.objectAt(ctx, t, first+uint64(i))
		if err != nil {
			return nil, fault.Unavailablef("done as revision %d, but what it changed cannot be read now: %w", done.Revision, err)
		}
		if o == nil {
			continue
		}
		if size += proto.Size(o); size > replyBytes && len(rep.Objects) > 0 {
			break
		}
		rep.Objects = append(rep.Objects, o)
	}
	err := d.state.View(func(tx *projection.Tx) error {
		return AddNames(catalog.Of(tx), rep.Names, rep.Objects...)
	})
	return rep, err
}

// objectAt returns an object with a sequence: from the state when it was not
// changed since, else from the stream; nil when the stream keeps it no more.
func (d *Decider) objectAt(ctx context.Context, t *inventoryv1.Touch, seq uint64) (*inventoryv1.Object, error) {
	var o *inventoryv1.Object
	err := d.state.View(func(tx *projection.Tx) (err error) {
		o, err = catalog.Of(tx).Object(catalog.Noun(t.Noun), t.Id)
		return err
	})
	if err != nil || (o != nil && o.Sequence == seq) {
		return o, err
	}
	stream, err := d.conn.JS.Stream(ctx, subject.Inventory)
	if err != nil {
		return nil, err
	}
	msg, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := catalog.Empty(catalog.Noun(t.Noun))
	if m == nil || msg.Subject != subject.Object(t.Noun, t.Id) || wire.Event(msg.Data, m) != nil {
		return nil, nil
	}
	o = catalog.Wrap(m)
	o.Sequence = seq
	return o, nil
}

// AddNames puts the names of what the objects refer to into names, by id.
func AddNames(v catalog.View, names map[string]string, objects ...*inventoryv1.Object) error {
	for _, o := range objects {
		for _, r := range References(o) {
			if r.ID == "" || names[r.ID] != "" {
				continue
			}
			target, err := v.Object(r.Noun, r.ID)
			if err != nil {
				return err
			}
			if target != nil {
				_, m := catalog.Unwrap(target)
				names[r.ID] = catalog.NameOf(m)
			}
		}
	}
	return nil
}

// Reference is an object that another one refers to; the id may be empty.
type Reference struct {
	Noun catalog.Noun
	ID   string
}

// References lists what an object refers to.
func References(o *inventoryv1.Object) []Reference {
	var rs []Reference
	switch {
	case o.GetGroup() != nil:
		rs = append(rs, Reference{catalog.Osimage, o.GetGroup().OsimageId}, Reference{catalog.Bmcsetup, o.GetGroup().BmcsetupId})
		for _, i := range o.GetGroup().Interfaces {
			for _, n := range i.NetworkIds {
				rs = append(rs, Reference{catalog.Network, n})
			}
		}
	case o.GetNode() != nil:
		rs = append(rs, Reference{catalog.Group, o.GetNode().GroupId}, Reference{catalog.Switch, o.GetNode().SwitchId}, Reference{catalog.Osimage, o.GetNode().GetOsimageId()})
		for _, a := range o.GetNode().Addresses {
			rs = append(rs, Reference{catalog.Network, a.NetworkId})
		}
	case o.GetOtherdev() != nil:
		for _, a := range o.GetOtherdev().Addresses {
			rs = append(rs, Reference{catalog.Network, a.NetworkId})
		}
	case o.GetSwitch() != nil:
		rs = append(rs, Reference{catalog.Network, o.GetSwitch().NetworkId})
	}
	return rs
}
