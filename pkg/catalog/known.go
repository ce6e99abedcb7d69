package catalog

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Known remembers what nodes refer to, groups and networks and the like, for
// services that join node after node. Objects of its views are shared: nobody
// may change them. The zero value is ready; nil remembers nothing.
type Known struct {
	objects projection.Decoded[*inventoryv1.Object]
}

// Of returns the view of a transaction.
func (k *Known) Of(tx *projection.Tx) View { return View{tx: tx, known: k} }

// get is get, but decodes an object that did not change only once; nodes, which
// are many and asked for once, each time.
func (k *Known) get(tx source, noun Noun, id string) (*inventoryv1.Object, error) {
	if k == nil || noun == Node {
		return get(tx, noun, id)
	}
	data, err := tx.Get(objects, key(noun, id))
	if err != nil || data == nil {
		return nil, err
	}
	return k.objects.Of(key(noun, id), data, func(data []byte) (*inventoryv1.Object, error) { return decode(noun, id, data) })
}

func decode(noun Noun, id string, data []byte) (*inventoryv1.Object, error) {
	o := &inventoryv1.Object{}
	if err := proto.Unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", noun, id, projection.ErrDamaged)
	}
	return o, nil
}
