package luna

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/luna-hpc/luna/pkg/fault"
)

// field is a flag that sets a field of a request.
type field struct {
	// name is the flag's, and the field's unless into says otherwise.
	name, short, into string
	usage             string
	// needed says that the command cannot be without it.
	needed bool
}

// What is noted of a flag beside its usage.
const (
	sets    = "luna-sets"    // the full name of the field that it sets
	instead = "luna-instead" // what is in the place of a flag that does nothing
)

// note keeps a fact of a command's flag, of which the table of flags is made.
func note(cmd *cobra.Command, flag, what, text string) {
	f := cmd.Flags().Lookup(flag)
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[what] = []string{text}
}

// needed returns fields of which some cannot be left out.
func needed(fields []field, names ...string) []field {
	all := slices.Clone(fields)
	for i := range all {
		all[i].needed = slices.Contains(names, all[i].name)
	}
	return all
}

// bound is a flag on a command and the field that it sets.
type bound struct {
	desc protoreflect.FieldDescriptor
	field
	value *fieldValue
}

// fieldValue keeps a flag's text until the request is made.
type fieldValue struct {
	text string
	kind protoreflect.Kind
}

func (v *fieldValue) String() string { return v.text }

func (v *fieldValue) Type() string {
	switch v.kind {
	case protoreflect.BoolKind:
		return "y|n"
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return "number"
	}
	return "text"
}

// Set checks a value as it is typed.
func (v *fieldValue) Set(s string) error {
	v.text = s
	_, err := parseValue(v.kind, s)
	return err
}

func parseValue(kind protoreflect.Kind, s string) (protoreflect.Value, error) {
	switch kind {
	case protoreflect.BoolKind:
		switch strings.ToLower(s) {
		case "y", "yes", "true", "1":
			return protoreflect.ValueOfBool(true), nil
		case "n", "no", "false", "0":
			return protoreflect.ValueOfBool(false), nil
		}
		return protoreflect.Value{}, fault.Invalidf("%q is not y, yes, n or no", s)
	case protoreflect.Uint32Kind:
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return protoreflect.Value{}, fault.Invalidf("%q is not a number", s)
		}
		return protoreflect.ValueOfUint32(uint32(n)), nil
	case protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return protoreflect.Value{}, fault.Invalidf("%q is not a number", s)
		}
		return protoreflect.ValueOfUint64(n), nil
	}
	return protoreflect.ValueOfString(s), nil
}

// bind puts flags on a command for fields of a request; it panics for a field
// that does not exist.
func bind(cmd *cobra.Command, req proto.Message, fields []field) []bound {
	var all []bound
	descs := req.ProtoReflect().Descriptor().Fields()
	for _, f := range fields {
		into := f.into
		if into == "" {
			into = f.name
		}
		d := descs.ByName(protoreflect.Name(into))
		if d == nil {
			panic(cmd.Name() + ": request has no field " + into)
		}
		v := &fieldValue{kind: d.Kind()}
		cmd.Flags().VarP(v, f.name, f.short, f.usage)
		note(cmd, f.name, sets, string(d.FullName()))
		all = append(all, bound{d, f, v})
	}
	return all
}

// fill sets the fields whose flags were given.
func fill(cmd *cobra.Command, req proto.Message, flags []bound) error {
	for _, b := range flags {
		if !cmd.Flags().Changed(b.name) {
			if b.needed {
				return fault.Invalidf("--%s is needed, as in `%s`", b.name, firstExample(cmd))
			}
			continue
		}
		v, err := parseValue(b.value.kind, b.value.text)
		if err != nil {
			return err
		}
		req.ProtoReflect().Set(b.desc, v)
	}
	return nil
}

// firstExample is the right form of a command.
func firstExample(cmd *cobra.Command) string {
	line, _, _ := strings.Cut(cmd.Example, "\n")
	return strings.TrimSpace(line)
}

// nameFlag adds --name/-n and returns a function that gives the name, which
// may be typed as the first word or with the flag.
func nameFlag(cmd *cobra.Command, required bool) func(args []string) (string, error) {
	name := cmd.Flags().StringP("name", "n", "", "`name` of the object; may also stand as the first word")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fault.Invalidf("unexpected word %q; the form is `%s`", args[1], firstExample(cmd))
		}
		return nil
	}
	return func(args []string) (string, error) {
		switch {
		case len(args) == 1 && *name != "" && *name != args[0]:
			return "", fault.Invalidf("two names: %s and --name %s", args[0], *name)
		case len(args) == 1:
			return args[0], nil
		case *name == "" && required:
			return "", fault.Invalidf("which one? say a name, as the first word or with --name")
		}
		return *name, nil
	}
}

// nameAndRest is nameFlag for commands that take further words after the name.
func nameAndRest(cmd *cobra.Command) func(args []string) (name string, rest []string, err error) {
	name := nameFlag(cmd, true)
	cmd.Args = cobra.ArbitraryArgs
	return func(args []string) (string, []string, error) {
		n := 0
		if !cmd.Flags().Changed("name") {
			n = min(1, len(args))
		}
		first, err := name(args[:n])
		return first, args[n:], err
	}
}
