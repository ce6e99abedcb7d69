package effect

import (
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// mostObjects is how many objects and touches a reply holds, and mostBytes how
// much of objects: more would not fit a message.
const (
	mostObjects = 100
	mostBytes   = 512 << 10
)

// Reply tells what a draft would do.
func Reply(d *change.Draft) (*inventoryv1.ChangeReply, error) {
	then, err := d.Then()
	if err != nil {
		return nil, err
	}
	rep := &inventoryv1.ChangeReply{Names: map[string]string{}, Notes: d.Notes()}
	size := 0
	for _, t := range d.Touched() {
		if catalog.Noun(t.Noun) == catalog.Rest {
			continue
		}
		if len(rep.Touched) == mostObjects {
			break
		}
		rep.Touched = append(rep.Touched, t)
		o, err := then.Object(catalog.Noun(t.Noun), t.Id)
		if err != nil {
			return nil, err
		}
		if size += proto.Size(o); o != nil && (size <= mostBytes || len(rep.Objects) == 0) {
			rep.Objects = append(rep.Objects, o)
		}
	}
	if err := change.AddNames(then, rep.Names, rep.Objects...); err != nil {
		return nil, err
	}
	rep.Effects, err = effects(d, then)
	return rep, err
}
