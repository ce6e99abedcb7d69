// Package wire encodes messages as JSON that a person can type and read.
package wire

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
)

var (
	out      = protojson.MarshalOptions{UseProtoNames: true}
	pretty   = protojson.MarshalOptions{UseProtoNames: true, Multiline: true, Indent: "  "}
	tolerant = protojson.UnmarshalOptions{DiscardUnknown: true}
)

// Marshal returns a message's JSON; its bytes differ from run to run, so
// nobody may hash or compare them.
func Marshal(m proto.Message) ([]byte, error) { return out.Marshal(m) }

// Pretty returns a message's JSON in several lines.
func Pretty(m proto.Message) string { return pretty.Format(m) }

// Command decodes a command strictly: a field that does not exist is an
// Invalid error. No bytes at all are an empty message.
func Command(data []byte, m proto.Message) error {
	if len(data) == 0 {
		return nil
	}
	if err := protojson.Unmarshal(data, m); err != nil {
		return fault.Invalidf("the command is not a %s in JSON: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// Event decodes an event tolerantly: fields of later versions are passed over.
func Event(data []byte, m proto.Message) error { return tolerant.Unmarshal(data, m) }
