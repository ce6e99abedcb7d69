// Package catalog is the inventory as every service reads it: the fold of its
// stream, and look-ups by id, name, MAC and address.
package catalog

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Noun names a kind of object, as in subjects.
type Noun string

// The nouns of the inventory.
const (
	Cluster Noun = "cluster"
	Network Noun = "network"
	Osimage Noun = "osimage"
	Group   Noun = "group"
	Node    Noun = "node"
	Rest    Noun = "rest"
	// Bmcsetup is how management controllers are set up.
	Bmcsetup Noun = "bmcsetup"
	// Switch is an Ethernet switch.
	Switch Noun = "switch"
	// Otherdev is a device that only DNS knows.
	Otherdev Noun = "otherdev"
	// Change is the noun of change records, which are no objects.
	Change Noun = "change"
)

// Nouns lists the kinds of objects, those first that others refer to.
var Nouns = []Noun{Cluster, Network, Osimage, Bmcsetup, Switch, Otherdev, Group, Node, Rest}

// Wrap puts a message into an object; it panics for a message of no noun.
func Wrap(m proto.Message) *inventoryv1.Object {
	o := &inventoryv1.Object{}
	r := o.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() == protoreflect.MessageKind && f.Message() == m.ProtoReflect().Descriptor() {
			r.Set(f, protoreflect.ValueOfMessage(m.ProtoReflect()))
			return o
		}
	}
	panic(fmt.Sprintf("%T is no object of the inventory", m))
}

// Unwrap returns an object's message and noun; nil for an empty object.
func Unwrap(o *inventoryv1.Object) (Noun, proto.Message) {
	r := o.ProtoReflect()
	f := r.WhichOneof(r.Descriptor().Oneofs().ByName("kind"))
	if f == nil {
		return "", nil
	}
	return Noun(f.Name()), r.Get(f).Message().Interface()
}

// Empty returns an empty message of a noun; nil for a noun of later versions.
func Empty(n Noun) proto.Message {
	r := (&inventoryv1.Object{}).ProtoReflect()
	f := r.Descriptor().Fields().ByName(protoreflect.Name(n))
	if f == nil || f.Kind() != protoreflect.MessageKind {
		return nil
	}
	return r.NewField(f).Message().Interface()
}

type named interface{ GetName() string }

// NameOf returns an object's name; the cluster's is "cluster", a rest has none.
func NameOf(m proto.Message) string {
	switch m := m.(type) {
	case named:
		return m.GetName()
	case *inventoryv1.Cluster:
		return string(Cluster)
	}
	return ""
}
