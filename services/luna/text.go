package luna

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// editing is what a text's flag says without a value.
const editing = "\x00edit"

// longText is a text of an object: its flag alone opens the editor or reads
// the pipe, as the original's did; --flag=TEXT gives it on the command line.
type longText struct{ name, short, usage string }

var comment = longText{"comment", "C", "free text: edit it, or read it from a pipe; or --comment=TEXT"}

// said is the comment of a new object.
var said = field{name: "comment", short: "C", usage: "free text"}

// bindTexts puts the flags of texts on a command, and returns what fills them in.
func (a *app) bindTexts(cmd *cobra.Command, noun catalog.Noun, req proto.Message, texts []longText) func(ctx context.Context, req proto.Message) error {
	values := make([]*string, len(texts))
	for i, t := range texts {
		values[i] = cmd.Flags().StringP(t.name, t.short, "", t.usage)
		cmd.Flags().Lookup(t.name).NoOptDefVal = editing
		note(cmd, t.name, sets, string(req.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(t.name)).FullName()))
	}
	return func(ctx context.Context, req proto.Message) error {
		for i, t := range texts {
			if !cmd.Flags().Changed(t.name) {
				continue
			}
			if *values[i] == editing {
				if err := a.editField(ctx, noun, req, t.name); err != nil {
					return err
				}
				continue
			}
			set(req, t.name, protoreflect.ValueOfString(*values[i]))
		}
		return nil
	}
}

// editField puts an edited text into a request, with the revision it was read at.
func (a *app) editField(ctx context.Context, noun catalog.Noun, req proto.Message, field string) error {
	show := &inventoryv1.ShowRequest{}
	if f := req.ProtoReflect().Descriptor().Fields().ByName("name"); f != nil {
		show.Name = req.ProtoReflect().Get(f).String()
	}
	rep, err := ask(ctx, a, inventory, string(noun), "show", show, &inventoryv1.ShowReply{})
	if err != nil {
		return err
	}
	_, m := catalog.Unwrap(rep.Object)
	old := m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(field))).String()
	edited, err := a.edit(ctx, field, old)
	if err != nil {
		return err
	}
	set(req, field, protoreflect.ValueOfString(edited))
	set(req, "if_revision", protoreflect.ValueOfUint64(rep.Object.Sequence))
	return nil
}

func set(m proto.Message, field string, v protoreflect.Value) {
	r := m.ProtoReflect()
	r.Set(r.Descriptor().Fields().ByName(protoreflect.Name(field)), v)
}
