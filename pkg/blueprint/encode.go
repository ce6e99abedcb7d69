package blueprint

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// List is texts of which a single one stands without brackets.
type List []string

// MarshalYAML writes a single text as itself.
func (l List) MarshalYAML() (any, error) {
	if len(l) == 1 {
		return l[0], nil
	}
	return []string(l), nil
}

// UnmarshalYAML reads one text or several.
func (l *List) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		var one string
		if err := n.Decode(&one); err != nil {
			return err
		}
		*l = List{one}
		return nil
	}
	return n.Decode((*[]string)(l))
}

// section is one kind of objects in a text.
type section struct {
	name string
	// list points to the blueprint's slice of such objects.
	list any
}

// sections lists the kinds in the order in which they are written.
func (b *Blueprint) sections() []section {
	return []section{{"networks", &b.Networks}, {"osimages", &b.Osimages}, {"bmcsetups", &b.Bmcsetups}, {"switches", &b.Switches},
		{"otherdevs", &b.Otherdevs}, {"groups", &b.Groups}, {"nodes", &b.Nodes}}
}

// Encode returns the text of a blueprint, with objects in the order of their names.
func (b *Blueprint) Encode() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	if err := add(root, "luna", Form); err != nil {
		return nil, err
	}
	if b.Cluster != nil {
		if err := add(root, "cluster", b.Cluster); err != nil {
			return nil, err
		}
	}
	for _, s := range b.sections() {
		objects, err := mapping(reflect.ValueOf(s.list).Elem())
		if err != nil {
			return nil, err
		}
		if len(objects.Content) == 0 {
			continue
		}
		if err := add(root, s.name, objects); err != nil {
			return nil, err
		}
	}
	style(root)
	return yaml.Dump(root, yaml.WithLineWidth(-1))
}

// mapping returns objects by name.
func mapping(list reflect.Value) (*yaml.Node, error) {
	place := func(i int) string { return list.Index(i).FieldByName("Name").String() }
	order := make([]int, list.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(place(a), place(b)) })
	objects := &yaml.Node{Kind: yaml.MappingNode}
	for _, i := range order {
		if err := add(objects, place(i), list.Index(i).Interface()); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// add puts a key and its value at the end of a mapping.
func add(to *yaml.Node, key string, value any) error {
	n, ok := value.(*yaml.Node)
	if !ok {
		n = &yaml.Node{}
		if err := n.Encode(value); err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
	}
	k := &yaml.Node{}
	if err := k.Encode(key); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	to.Content = append(to.Content, k, n)
	return nil
}

// style makes texts of several lines literal blocks, where YAML can.
func style(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	for _, c := range n.Content {
		style(c)
	}
}
