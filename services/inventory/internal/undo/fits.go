package undo

import (
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// fits is a Conflict when what is brought back does not fit what is there by
// now, or something refers to what is taken away.
func fits(d *change.Draft, done *inventoryv1.ChangeAt, before Before) error {
	then, err := d.Then()
	if err != nil {
		return err
	}
	gone := map[string]string{}
	for _, t := range done.Change.Touched {
		if catalog.Noun(t.Noun) == catalog.Rest {
			continue
		}
		old := before(catalog.Noun(t.Noun), t.Id)
		if old == nil {
			gone[t.Id] = t.Noun + " " + t.Name
			continue
		}
		if err := unique(d, then, t, old); err != nil {
			return err
		}
		if err := refers(then, t, old); err != nil {
			return err
		}
	}
	return needed(then, gone)
}

// unique is a Conflict when another object has the name, MAC or port by now.
func unique(d *change.Draft, then catalog.View, t *inventoryv1.Touch, old proto.Message) error {
	holds := func(id string) (bool, error) {
		if id == "" || id == t.Id {
			return false, nil
		}
		o, err := then.Object(catalog.Noun(t.Noun), id)
		return o != nil, err
	}
	name := catalog.NameOf(old)
	o, err := d.Find(catalog.Noun(t.Noun), name)
	if err != nil {
		return err
	}
	if o != nil {
		_, m := catalog.Unwrap(o)
		if taken, err := holds(idOf(m)); taken || err != nil {
			return conflict(err, "another %s has the name %s by now", t.Noun, name)
		}
	}
	n, ok := old.(*inventoryv1.Node)
	if !ok {
		return nil
	}
	if n.Mac != "" {
		other, err := d.NodeByMAC(n.Mac)
		if err != nil {
			return err
		}
		if taken, err := holds(other.GetId()); taken || err != nil {
			return conflict(err, "node %s has the MAC %s by now", other.GetName(), n.Mac)
		}
	}
	other, err := d.NodeByPort(n.SwitchId, n.Port)
	if err != nil || n.Port == "" {
		return err
	}
	if taken, err := holds(other.GetId()); taken || err != nil {
		return conflict(err, "node %s has the switch port of %s by now", other.GetName(), n.Name)
	}
	return nil
}

func conflict(err error, text string, args ...any) error {
	if err != nil {
		return err
	}
	return fault.Conflictf(text, args...)
}

type identified interface{ GetId() string }

func idOf(m proto.Message) string {
	if i, ok := m.(identified); ok {
		return i.GetId()
	}
	return ""
}

// refers is a Conflict when what an object refers to is not there any more.
func refers(then catalog.View, t *inventoryv1.Touch, old proto.Message) error {
	for _, r := range change.References(catalog.Wrap(old)) {
		if r.ID == "" {
			continue
		}
		o, err := then.Object(r.Noun, r.ID)
		if err != nil {
			return err
		}
		if o == nil {
			return fault.Conflictf("%s %s was with a %s that is deleted by now", t.Noun, catalog.NameOf(old), r.Noun)
		}
	}
	return nil
}

// needed is a Conflict when something refers to an object that goes.
func needed(then catalog.View, gone map[string]string) error {
	if len(gone) == 0 {
		return nil
	}
	for _, noun := range []catalog.Noun{catalog.Switch, catalog.Otherdev, catalog.Group, catalog.Node} {
		var bad error
		err := then.Each(noun, "", func(o *inventoryv1.Object) bool {
			for _, r := range change.References(o) {
				if what := gone[r.ID]; what != "" {
					_, m := catalog.Unwrap(o)
					bad = fault.Conflictf("%s %s depends on %s", noun, catalog.NameOf(m), what)
				}
			}
			return bad == nil
		})
		if err := errors.Join(bad, err); err != nil {
			return err
		}
	}
	return nil
}
