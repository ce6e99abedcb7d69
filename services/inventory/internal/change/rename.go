package change

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// object is a message of the inventory that has an id.
type object interface {
	proto.Message
	GetId() string
}

// Rename returns the decision that gives an object of a noun another name, when
// check finds it well. What refers to the object does so by id and stays.
func Rename[T object](noun catalog.Noun, check func(*Draft, T) error) func(*Draft, *inventoryv1.RenameRequest) error {
	return func(d *Draft, r *inventoryv1.RenameRequest) error {
		o, err := d.Named(noun, r.Name, r.IfRevision)
		if err != nil {
			return err
		}
		if err := d.NameTaken(noun, r.Newname); err != nil {
			return err
		}
		_, m := catalog.Unwrap(o)
		named := m.(T)
		fields := m.ProtoReflect()
		fields.Set(fields.Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(r.Newname))
		if err := check(d, named); err != nil {
			return err
		}
		d.Put(named.GetId(), named)
		return nil
	}
}
