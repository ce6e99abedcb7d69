package change

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Draft is a change that is being decided: what is there, and what shall be.
type Draft struct {
	catalog.View
	Now time.Time

	key     secret.Key
	order   []string
	writes  map[string]write
	secrets map[string][]byte // by id
	notes   []string
}

type write struct {
	noun    catalog.Noun
	id      string
	name    string
	message proto.Message // nil deletes
}

// NewDraft returns a draft over a view; the key tells whether a secret is the one that is there.
func NewDraft(v catalog.View, key secret.Key, now time.Time) *Draft {
	return &Draft{View: v, Now: now, key: key, writes: map[string]write{}, secrets: map[string][]byte{}}
}

// On returns an empty draft over another view.
func (d *Draft) On(v catalog.View) *Draft { return NewDraft(v, d.key, d.Now) }

// Note says something of the change in its record and its reply.
func (d *Draft) Note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// Notes returns what was said of the change.
func (d *Draft) Notes() []string { return d.notes }

// NewID returns an id for a new object.
func NewID() string { return bus.NewID() }

// RestID returns the id of the object that says that an address rests.
func RestID(networkID string, addr netip.Addr) string {
	return networkID + "-" + hex.EncodeToString(addr.AsSlice())
}

// Put sets an object; the last of several counts.
func (d *Draft) Put(id string, m proto.Message) {
	noun, _ := catalog.Unwrap(catalog.Wrap(m))
	d.add(write{noun: noun, id: id, name: catalog.NameOf(m), message: m})
}

// Secret keeps data where only few services can read it, and returns the id to name it by.
func (d *Draft) Secret(data []byte) (id string) {
	id = NewID()
	d.secrets[id] = data
	return id
}

// SameSecret keeps data under an id that tells for whom and what it is, and returns
// the old id when it was made of the same. Nobody else can read it out of the id:
// the last 80 bits of the ULID are a keyed digest.
func (d *Draft) SameSecret(old, whose, what string, data []byte) (id string) {
	digest := d.key.Digest(whose, what, string(data))
	if u, err := ulid.ParseStrict(old); err == nil && bytes.Equal(u.Entropy(), digest[:len(u.Entropy())]) {
		return old
	}
	var u ulid.ULID
	if u.SetTime(ulid.Timestamp(d.Now)) != nil || u.SetEntropy(digest[:10]) != nil {
		return d.Secret(data) // a clock beyond the year 10889
	}
	d.secrets[u.String()] = data
	return u.String()
}

// Set sets a field when the request has it.
func Set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// Delete removes an object.
func (d *Draft) Delete(noun catalog.Noun, id, name string) {
	d.add(write{noun: noun, id: id, name: name})
}

func (d *Draft) add(w write) {
	k := string(w.noun) + "/" + w.id
	if _, ok := d.writes[k]; !ok {
		d.order = append(d.order, k)
	}
	d.writes[k] = w
}

// Empty reports whether nothing is to be changed.
func (d *Draft) Empty() bool { return len(d.order) == 0 }

// NameTaken is a Conflict when an object of the noun has the name already.
func (d *Draft) NameTaken(noun catalog.Noun, name string) error {
	o, err := d.Find(noun, name)
	if err != nil {
		return err
	}
	if o != nil {
		return fault.Conflictf("%s %q exists already", noun, name)
	}
	return nil
}

// Named returns an object by name, NotFound when there is none, and Conflict
// when ifRevision is set and not the object's own sequence.
func (d *Draft) Named(noun catalog.Noun, name string, ifRevision uint64) (*inventoryv1.Object, error) {
	if name == "" {
		return nil, fault.Invalidf("%s: a name is needed", noun)
	}
	o, err := d.Find(noun, name)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, fault.NotFoundf("there is no %s %q", noun, name)
	}
	if ifRevision != 0 && o.Sequence != ifRevision {
		return nil, fault.Conflictf("%s %q was changed meanwhile: it is at revision %d, not %d", noun, name, o.Sequence, ifRevision)
	}
	return proto.Clone(o).(*inventoryv1.Object), nil
}

// Then returns the inventory as it would be.
func (d *Draft) Then() (catalog.View, error) {
	layer := catalog.Over(d.View)
	for _, k := range d.order {
		w := d.writes[k]
		err := error(nil)
		if w.message != nil {
			err = layer.Put(w.id, w.message)
		} else {
			err = layer.Delete(w.noun, w.id)
		}
		if err != nil {
			return catalog.View{}, err
		}
	}
	return layer.View, nil
}

// Touched lists what would be written or deleted, in the batch's order.
func (d *Draft) Touched() []*inventoryv1.Touch {
	var all []*inventoryv1.Touch
	for _, k := range d.order {
		w := d.writes[k]
		all = append(all, &inventoryv1.Touch{Noun: string(w.noun), Id: w.id, Name: w.name, Deleted: w.message == nil})
	}
	return all
}

// messages returns the batch: objects first, the record last.
func (d *Draft) messages(record *inventoryv1.Change) ([]*nats.Msg, error) {
	if len(d.order) >= bus.MaxBatch {
		return nil, fault.Invalidf("the change touches %d objects, at most %d can be changed at once", len(d.order), bus.MaxBatch-1)
	}
	msgs := make([]*nats.Msg, 0, len(d.order)+1)
	for _, k := range d.order {
		w := d.writes[k]
		msg := &nats.Msg{Subject: subject.Object(string(w.noun), w.id)}
		if w.message != nil {
			data, err := wire.Marshal(w.message)
			if err != nil {
				return nil, err
			}
			msg.Data = data
		}
		msgs = append(msgs, msg)
	}
	record.Touched, record.Notes = d.Touched(), d.notes
	data, err := wire.Marshal(record)
	if err != nil {
		return nil, err
	}
	return append(msgs, &nats.Msg{Subject: subject.Change(record.CommandId), Data: data}), nil
}
