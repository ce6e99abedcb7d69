package blueprint

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/luna-hpc/luna/pkg/fault"
)

// Decode reads a text. Errors are Invalid and name the line.
func Decode(text []byte) (*Blueprint, error) {
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		return nil, fault.Invalidf("the text is no YAML: %w", clean(err))
	}
	b, root := &Blueprint{}, &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	return b, b.read(resolve(root))
}

// read reads the root of a text.
func (b *Blueprint) read(root *yaml.Node) error {
	lists := map[string]any{}
	known := []string{"luna", "cluster"}
	for _, s := range b.sections() {
		lists[s.name] = s.list
		known = append(known, s.name)
	}
	return pairs(root, "the text", func(key, value *yaml.Node) error {
		switch {
		case key.Value == "luna":
			return form(value)
		case key.Value == "cluster":
			b.Cluster = &Cluster{Line: key.Line}
			return object(value, "the cluster", b.Cluster)
		case lists[key.Value] != nil:
			return objects(value, key.Value, reflect.ValueOf(lists[key.Value]).Elem())
		}
		return fault.Invalidf("line %d: %q is none of %s", key.Line, key.Value, strings.Join(known, ", "))
	})
}

func form(n *yaml.Node) error {
	var number int
	if err := n.Decode(&number); err != nil || number != Form {
		return fault.Invalidf("line %d: luna: the text is of form %s, and form %d is read here", n.Line, n.Value, Form)
	}
	return nil
}

// objects reads a section into a slice.
func objects(n *yaml.Node, section string, into reflect.Value) error {
	noun := noun(section)
	return pairs(n, section, func(key, value *yaml.Node) error {
		o := reflect.New(into.Type().Elem())
		o.Elem().FieldByName("Place").Set(reflect.ValueOf(Place{Name: key.Value, Line: key.Line}))
		if err := object(value, noun+" "+Word(key.Value), o.Interface()); err != nil {
			return err
		}
		into.Set(reflect.Append(into, o.Elem()))
		return nil
	})
}

// Word returns a name as messages have it: in quotes when it is not printable.
func Word(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// noun is what one object of a section is called.
func noun(section string) string {
	if section == "switches" {
		return "switch"
	}
	return strings.TrimSuffix(section, "s")
}

// object reads one object; without fields it has none of them.
func object(n *yaml.Node, what string, into any) error {
	if err := fields(n, what, reflect.TypeOf(into)); err != nil {
		return err
	}
	if err := n.Decode(into); err != nil {
		return fault.Invalidf("%s: %w", what, clean(err))
	}
	return nil
}

// fields refuses what an object has no field for, also within its fields.
func fields(n *yaml.Node, what string, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	n = resolve(n)
	switch {
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if err := fields(item, what, t.Elem()); err != nil {
				return err
			}
		}
		return nil
	case t.Kind() != reflect.Struct || empty(n):
		return nil
	}
	known := map[string]reflect.Type{}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			known[name] = t.Field(i).Type
			names = append(names, name)
		}
	}
	return pairs(n, what, func(key, value *yaml.Node) error {
		if known[key.Value] == nil {
			return fault.Invalidf("line %d: %s has no field %q; its fields are %s", key.Line, what, key.Value, strings.Join(names, ", "))
		}
		return fields(value, what+": "+key.Value, known[key.Value])
	})
}

// pairs calls do for the keys and values of a mapping; an empty text is an empty one.
func pairs(n *yaml.Node, what string, do func(key, value *yaml.Node) error) error {
	n = resolve(n)
	if empty(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fault.Invalidf("line %d: %s must be fields with values, as in name: value", n.Line, what)
	}
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return fault.Invalidf("line %d: %s: a name must be a word", key.Line, what)
		}
		seen = append(seen, key.Value)
		if err := do(key, resolve(n.Content[i+1])); err != nil {
			return err
		}
	}
	slices.Sort(seen)
	for i := 1; i < len(seen); i++ {
		if seen[i] == seen[i-1] {
			return fault.Invalidf("line %d: %s has %q twice", n.Line, what, seen[i])
		}
	}
	return nil
}

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	for range 10 {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

func empty(n *yaml.Node) bool {
	return n.Kind == 0 || n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// clean makes one line of an error of the YAML library, with the lines of the text.
func clean(err error) error {
	var parts []string
	var all *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &all):
		for _, e := range all.Errors {
			parts = append(parts, at(e))
		}
	case errors.As(err, &one):
		parts = append(parts, at(one))
	default:
		parts = append(parts, err.Error())
	}
	return errors.New(strings.Join(strings.Fields(strings.Join(parts, "; ")), " "))
}

func at(e *yaml.LoadError) string {
	if e.Mark.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Mark.Line, e.Message)
}
