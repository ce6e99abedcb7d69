package catalog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

const (
	objects   = "object"  // <noun>/<id> → Object, binary
	names     = "name"    // <noun>/<name> → id
	macs      = "mac"     // MAC → node id
	addresses = "address" // <network id>/<address> → node id
	ports     = "port"    // <switch id>/<port> → node id
)

// Fold returns the fold of the inventory stream; of the objects it keeps those
// of the given nouns, or all when none is given.
func Fold(keep ...Noun) projection.Fold {
	wanted, words := map[Noun]bool{}, []string{}
	for _, n := range keep {
		wanted[n] = true
		words = append(words, string(n))
	}
	slices.Sort(words)
	return projection.Fold{
		Stream: subject.Inventory, Version: 3, Keeps: strings.Join(words, " "), Buckets: []string{objects, names, macs, addresses, ports},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			noun, id, ok := subject.ParseObject(ev.Subject)
			if !ok || (len(wanted) > 0 && !wanted[Noun(noun)]) || Empty(Noun(noun)) == nil {
				return nil
			}
			return apply(tx, Noun(noun), id, ev)
		},
	}
}

// store is where objects and their index entries are kept.
type store interface {
	source
	Put(bucket, key string, data []byte) error
	Delete(bucket, key string) error
}

// apply replaces an object and its index entries.
func apply(tx store, noun Noun, id string, ev projection.Event) error {
	if err := forget(tx, noun, id); err != nil {
		return err
	}
	if ev.Deleted() {
		return tx.Delete(objects, key(noun, id))
	}
	m := Empty(noun)
	if err := wire.Event(ev.Data, m); err != nil {
		return nil //nolint:nilerr // a message that is no object is no reason to stop following
	}
	return keep(tx, noun, id, m, ev.Seq)
}

// forget removes the index entries of what an id stands for.
func forget(tx store, noun Noun, id string) error {
	old, err := get(tx, noun, id)
	if err != nil || old == nil {
		return err
	}
	_, m := Unwrap(old)
	return unindex(tx, noun, id, m)
}

// keep puts an object and its index entries into a store.
func keep(tx store, noun Noun, id string, m proto.Message, seq uint64) error {
	o := Wrap(m)
	o.Sequence = seq
	data, err := proto.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", noun, id, err)
	}
	if err := tx.Put(objects, key(noun, id), data); err != nil {
		return err
	}
	for _, e := range indexEntries(noun, m) {
		if err := tx.Put(e.bucket, e.key, []byte(id)); err != nil {
			return err
		}
	}
	return nil
}

// unindex removes the index entries of an old object that still point at it:
// during a rebuild another object may have taken them since.
func unindex(tx store, noun Noun, id string, m proto.Message) error {
	for _, e := range indexEntries(noun, m) {
		holder, err := tx.Get(e.bucket, e.key)
		if err != nil {
			return err
		}
		if string(holder) != id {
			continue
		}
		if err := tx.Delete(e.bucket, e.key); err != nil {
			return err
		}
	}
	return nil
}

type entry struct{ bucket, key string }

func indexEntries(noun Noun, m proto.Message) []entry {
	var es []entry
	if name := NameOf(m); name != "" {
		es = append(es, entry{names, key(noun, name)})
	}
	n, ok := m.(*inventoryv1.Node)
	if !ok {
		return es
	}
	if n.Mac != "" {
		es = append(es, entry{macs, strings.ToLower(n.Mac)})
	}
	if n.SwitchId != "" && n.Port != "" {
		es = append(es, entry{ports, key(Noun(n.SwitchId), n.Port)})
	}
	for _, a := range n.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil {
			es = append(es, entry{addresses, key(Noun(a.NetworkId), addr.String())})
		}
	}
	return es
}

func key(noun Noun, id string) string { return string(noun) + "/" + id }

func get(tx source, noun Noun, id string) (*inventoryv1.Object, error) {
	data, err := tx.Get(objects, key(noun, id))
	if err != nil || data == nil {
		return nil, err
	}
	return decode(noun, id, data)
}
