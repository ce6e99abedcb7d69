package change

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// decode reads a record as wire.Event does. A record may name tens of thousands of objects, and nearly all of the
// time of a rebuild would go into them, by reflection: their list is read here, where it is as records are written,
// and the rest as any message. Any other record is read as a whole by wire.Event.
func decode(data []byte) (*inventoryv1.Change, error) {
	c := &inventoryv1.Change{}
	if touched, rest, ok := cut(data); ok && wire.Event(rest, c) == nil {
		c.Touched = touched
		return c, nil
	}
	c.Reset()
	return c, wire.Event(data, c)
}

// cut takes the list out of a record and leaves an empty one; false when it is not as records are written.
func cut(data []byte) (touched []*inventoryv1.Touch, rest []byte, ok bool) {
	d := reader{jsontext.NewDecoder(bytes.NewBuffer(data))}
	for ok = d.token('{'); ok && d.PeekKind() == '"'; {
		name, err := d.ReadToken()
		if err != nil {
			return nil, nil, false
		}
		if name.String() != "touched" {
			ok = d.SkipValue() == nil
			continue
		}
		begin := d.InputOffset()
		if touched, ok = d.touches(); !ok {
			return nil, nil, false
		}
		return touched, slices.Concat(data[:begin], []byte(":[]"), data[d.InputOffset():]), true
	}
	return nil, nil, false
}

// reader reads a record piece by piece.
type reader struct{ *jsontext.Decoder }

// token tells whether the next token is of a kind.
func (d reader) token(k jsontext.Kind) bool {
	t, err := d.ReadToken()
	return err == nil && t.Kind() == k
}

// text reads a string.
func (d reader) text() (string, bool) {
	t, err := d.ReadToken()
	if err != nil || t.Kind() != '"' {
		return "", false
	}
	return t.String(), true
}

// touches reads a list of touched objects.
func (d reader) touches() (all []*inventoryv1.Touch, ok bool) {
	ok = d.token('[')
	for block := []inventoryv1.Touch(nil); ok && d.PeekKind() == '{'; block = block[1:] {
		if len(block) == 0 {
			block = make([]inventoryv1.Touch, 64) // one by one they would cost more than their reading
		}
		ok = d.touch(&block[0])
		all = append(all, &block[0])
	}
	return all, ok && d.token(']')
}

// touch reads one object; a field of a later version is not as records are written.
func (d reader) touch(into *inventoryv1.Touch) bool {
	for ok := d.token('{'); ok && d.PeekKind() == '"'; {
		field, err := d.ReadToken()
		if err != nil {
			return false
		}
		switch field.String() {
		case "noun":
			into.Noun, ok = d.text()
		case "id":
			into.Id, ok = d.text()
		case "name":
			into.Name, ok = d.text()
		case "deleted":
			into.Deleted, ok = true, d.token('t')
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return d.token('}')
}
