package change

import (
	"bytes"
	"unicode/utf8"

	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// decode reads a record as wire.Event does. A record may name tens of thousands of objects, and nearly all of the
// time of a rebuild would go into them: their list is read here, where it is as plain as records are written, and
// the rest as any message. What is not that plain is read as a whole by wire.Event.
func decode(data []byte) (*inventoryv1.Change, error) {
	c := &inventoryv1.Change{}
	touched, rest, ok := cut(data)
	if !ok {
		return c, wire.Event(data, c)
	}
	if err := wire.Event(rest, c); err != nil || len(c.Touched) > 0 {
		c.Reset()
		return c, wire.Event(data, c)
	}
	c.Touched = touched
	return c, nil
}

// list is how the list of touched objects begins in a record.
var list = []byte(`"touched":`)

// cut takes the list out of a record and leaves an empty one; false when that cannot be done safely.
func cut(data []byte) (touched []*inventoryv1.Touch, rest []byte, ok bool) {
	start := bytes.Index(data, list)
	if start < 0 || !member(data[:start]) {
		return nil, nil, false
	}
	begin := start + len(list)
	t := text{s: string(data[begin:])}
	if touched, ok = t.touches(); !ok {
		return nil, nil, false
	}
	rest = append(data[:begin:begin], "[]"...)
	return touched, append(rest, t.s...), true
}

// member tells whether what comes after this beginning of a record is a member of the record itself: outside of
// strings, and in one object and no list.
func member(head []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(head); i++ {
		switch c := head[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return depth == 1 && !quoted
}

// text is what is still to be read.
type text struct{ s string }

// touches reads a list of touched objects.
func (t *text) touches() ([]*inventoryv1.Touch, bool) {
	if !t.skip('[') {
		return nil, false
	}
	var all []*inventoryv1.Touch
	for block := []inventoryv1.Touch(nil); ; block = block[1:] {
		if len(block) == 0 {
			block = make([]inventoryv1.Touch, 64) // one by one they would cost more than their reading
		}
		if !t.touch(&block[0]) {
			return nil, false
		}
		all = append(all, &block[0])
		if t.skip(']') {
			return all, true
		}
		if !t.skip(',') {
			return nil, false
		}
	}
}

// touch reads one object; a field that is unknown or comes twice is not plain.
func (t *text) touch(into *inventoryv1.Touch) bool {
	if !t.skip('{') {
		return false
	}
	for {
		field, ok := t.quoted()
		if !ok || !t.skip(':') {
			return false
		}
		switch {
		case field == "noun" && into.Noun == "":
			into.Noun, ok = t.quoted()
		case field == "id" && into.Id == "":
			into.Id, ok = t.quoted()
		case field == "name" && into.Name == "":
			into.Name, ok = t.quoted()
		case field == "deleted" && !into.Deleted:
			into.Deleted, ok = true, t.word("true")
		default:
			ok = false
		}
		if !ok {
			return false
		}
		if t.skip('}') {
			return true
		}
		if !t.skip(',') {
			return false
		}
	}
}

// quoted reads a string of one character or more without escapes.
func (t *text) quoted() (string, bool) {
	if !t.skip('"') {
		return "", false
	}
	for i := 0; i < len(t.s); i++ {
		switch c := t.s[i]; {
		case c == '"':
			s := t.s[:i]
			t.s = t.s[i+1:]
			return s, i > 0 && utf8.ValidString(s)
		case c == '\\' || c < ' ':
			return "", false
		}
	}
	return "", false
}

// word reads a word.
func (t *text) word(w string) bool {
	t.space()
	if len(t.s) < len(w) || t.s[:len(w)] != w {
		return false
	}
	t.s = t.s[len(w):]
	return true
}

// skip reads one character, if it is the next one beside white space.
func (t *text) skip(c byte) bool {
	t.space()
	if len(t.s) == 0 || t.s[0] != c {
		return false
	}
	t.s = t.s[1:]
	return true
}

func (t *text) space() {
	for len(t.s) > 0 && (t.s[0] == ' ' || t.s[0] == '\n' || t.s[0] == '\t' || t.s[0] == '\r') {
		t.s = t.s[1:]
	}
}
