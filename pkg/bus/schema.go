package bus

import (
	"encoding/json"
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// schemaText returns the JSON Schema of a message as the wire takes it: fields by
// their names in the .proto, and no others.
func schemaText(d protoreflect.MessageDescriptor) string {
	data, err := json.Marshal(schemaOf(d, nil))
	if err != nil {
		return "" // maps of texts and numbers can always be written
	}
	return string(data)
}

// schemaOf describes a message; one within itself is any object.
func schemaOf(d protoreflect.MessageDescriptor, within []protoreflect.FullName) map[string]any {
	for _, n := range within {
		if n == d.FullName() {
			return map[string]any{"type": "object"}
		}
	}
	within = append(within[:len(within):len(within)], d.FullName())
	properties := map[string]any{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		properties[string(f.Name())] = fieldSchema(f, within)
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

func fieldSchema(f protoreflect.FieldDescriptor, within []protoreflect.FullName) map[string]any {
	switch {
	case f.IsMap():
		return map[string]any{"type": "object", "additionalProperties": valueSchema(f.MapValue(), within)}
	case f.IsList():
		return map[string]any{"type": "array", "items": valueSchema(f, within)}
	}
	s := valueSchema(f, within)
	if o, ok := f.Options().(*descriptorpb.FieldOptions); ok && o.GetDebugRedact() {
		s["writeOnly"] = true
	}
	return s
}

// valueSchema describes one value as protojson reads it.
func valueSchema(f protoreflect.FieldDescriptor, within []protoreflect.FullName) map[string]any {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return schemaOf(f.Message(), within)
	case protoreflect.BoolKind:
		return map[string]any{"type": "boolean"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return map[string]any{"type": "integer", "minimum": math.MinInt32, "maximum": math.MaxInt32}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return map[string]any{"type": "integer", "minimum": 0, "maximum": math.MaxUint32}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return map[string]any{"type": []string{"integer", "string"}} // answers have texts: numbers of JavaScript end at 2^53
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return map[string]any{"type": "number"}
	case protoreflect.BytesKind:
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	case protoreflect.EnumKind:
		var names []string
		for i := range f.Enum().Values().Len() {
			names = append(names, string(f.Enum().Values().Get(i).Name()))
		}
		return map[string]any{"enum": names}
	}
	return map[string]any{"type": "string"}
}
