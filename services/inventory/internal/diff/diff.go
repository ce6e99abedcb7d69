// Package diff tells how an object became different, in words that people know.
package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// maxText is how much of a value is told, in bytes.
const maxText = 16 << 10

// Names gives the name of an object by its id; "" when there is none, as for a secret's.
type Names func(id string) string

// Fields returns how the fields of an object became different; before or after
// is nil when there was no object.
func Fields(before, after proto.Message, names Names) []*inventoryv1.FieldDiff {
	old, now := values(before, names), values(after, names)
	var all []*inventoryv1.FieldDiff
	for _, field := range slices.Sorted(maps.Keys(union(old, now))) {
		was, is := old[field], now[field]
		if was == is || (before == nil && is.unset()) || (after == nil && was.unset()) {
			continue
		}
		all = append(all, &inventoryv1.FieldDiff{Field: field, Before: was.told(), After: is.told()})
	}
	return all
}

// value is what a field holds: what it says, and what tells it from others.
type value struct {
	there, off bool
	text, id   string
}

func (v value) unset() bool { return !v.there || v.off }

func (v value) told() *string {
	if !v.there {
		return nil
	}
	text := strings.ToValidUTF8(v.text[:min(len(v.text), maxText)], "")
	if more := len(v.text) - len(text); more > 0 {
		text += fmt.Sprintf("\n… and %d bytes more", more)
	}
	return &text
}

func union(a, b map[string]value) map[string]value {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// values lists the fields of an object. Parts that an object has many of are
// listed each, by what tells them apart.
func values(m proto.Message, names Names) map[string]value {
	all := map[string]value{}
	if m == nil {
		return all
	}
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch name := fieldName(f); {
		case name == "id":
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			for k := range r.Get(f).List().Len() {
				key, text := part(r.Get(f).List().Get(k).Message(), names)
				all[name+"["+key+"]"] = value{there: true, text: text}
			}
		case f.Kind() == protoreflect.BoolKind && !f.HasPresence():
			on := r.Get(f).Bool()
			all[name] = value{there: true, off: !on, text: scalar(f, r.Get(f), names)}
		case r.Has(f):
			all[name] = value{there: true, text: one(f, r.Get(f), names), id: identity(f, r.Get(f))}
		}
	}
	return all
}

// identity tells two secrets apart, which both read ***.
func identity(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if strings.HasSuffix(string(f.Name()), "_id") {
		return v.String()
	}
	return ""
}

// fieldName is a field as people know it: of a reference, what it refers to.
func fieldName(f protoreflect.FieldDescriptor) string {
	name := strings.TrimSuffix(string(f.Name()), "_id")
	return strings.Replace(name, "_ids", "s", 1)
}

// part splits one of many parts into what tells it from the others and the rest.
func part(m protoreflect.Message, names Names) (key, text string) {
	var keys, rest []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		v := one(f, m.Get(f), names)
		switch f.Name() {
		case "name", "interface", "network_id":
			keys = append(keys, v)
		case "address":
			rest = append(rest, v)
		default:
			rest = append(rest, fieldName(f)+" "+v)
		}
	}
	return strings.Join(keys, " "), strings.Join(rest, ", ")
}

func one(f protoreflect.FieldDescriptor, v protoreflect.Value, names Names) string {
	switch {
	case f.IsList():
		var parts []string
		for i := range v.List().Len() {
			parts = append(parts, scalar(f, v.List().Get(i), names))
		}
		return strings.Join(parts, ", ")
	case f.Kind() == protoreflect.MessageKind:
		var parts []string
		fields := v.Message().Descriptor().Fields()
		for i := range fields.Len() {
			if inner := fields.Get(i); v.Message().Has(inner) {
				parts = append(parts, fieldName(inner)+" "+one(inner, v.Message().Get(inner), names))
			}
		}
		return strings.Join(parts, ", ")
	}
	return scalar(f, v, names)
}

func scalar(f protoreflect.FieldDescriptor, v protoreflect.Value, names Names) string {
	if f.Kind() == protoreflect.BoolKind {
		return map[bool]string{true: "yes", false: "no"}[v.Bool()]
	}
	name := string(f.Name())
	if !strings.HasSuffix(name, "_id") && !strings.HasSuffix(name, "_ids") {
		return v.String()
	}
	if n := names(v.String()); n != "" {
		return n
	}
	return "***" // a secret, or what nobody knows any more
}
