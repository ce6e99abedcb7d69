package effect

import (
	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// mostObjects is how many objects and touches a reply holds: more would not fit a message.
const mostObjects = 100

// Reply tells what a draft would do.
func Reply(d *change.Draft) (*inventoryv1.ChangeReply, error) {
	rep := &inventoryv1.ChangeReply{Names: map[string]string{}, Notes: d.Notes()}
	for _, t := range d.Touched() {
		if catalog.Noun(t.Noun) == catalog.Rest {
			continue
		}
		if len(rep.Touched) == mostObjects {
			break
		}
		rep.Touched = append(rep.Touched, t)
		m, err := d.After(catalog.Noun(t.Noun), t.Id)
		if err != nil {
			return nil, err
		}
		if m != nil && !t.Deleted {
			rep.Objects = append(rep.Objects, catalog.Wrap(m))
		}
	}
	if err := addNames(d, rep); err != nil {
		return nil, err
	}
	var err error
	rep.Effects, err = Of(d)
	return rep, err
}

// addNames names what the objects would refer to.
func addNames(d *change.Draft, rep *inventoryv1.ChangeReply) error {
	for _, o := range rep.Objects {
		for _, r := range change.References(o) {
			if r.ID == "" || rep.Names[r.ID] != "" {
				continue
			}
			m, err := d.After(r.Noun, r.ID)
			if err != nil {
				return err
			}
			if m != nil {
				rep.Names[r.ID] = catalog.NameOf(m)
			}
		}
	}
	return nil
}
