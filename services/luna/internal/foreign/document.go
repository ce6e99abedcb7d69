package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/fault"
)

// document is one of MongoDB's, and which of its fields were asked for.
type document struct {
	collection, id string
	fields         map[string]any
	asked          map[string]bool
}

// collectionOf tells the collection of a file by its name, as in node.json or luna.node.json.
func collectionOf(name string) string {
	for _, part := range strings.Split(filepath.Base(name), ".") {
		if slices.Contains(collections, part) {
			return part
		}
	}
	return ""
}

// documents reads JSON one after the other, or in arrays.
func documents(collection string, f File) (all []*document, err error) {
	dec := json.NewDecoder(bytes.NewReader(f.Text))
	dec.UseNumber()
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			line := 1 + bytes.Count(f.Text[:min(int(dec.InputOffset()), len(f.Text))], []byte("\n"))
			return nil, fault.Invalidf("%s: line %d or the next: %w", f.Name, line, err)
		}
		one := []any{v}
		if list, ok := v.([]any); ok {
			one = list
		}
		for _, x := range one {
			fields, ok := x.(map[string]any)
			if !ok {
				return nil, fault.Invalidf("%s: %v is no document", f.Name, x)
			}
			all = append(all, &document{collection: collection, id: refID(fields["_id"]), fields: fields, asked: map[string]bool{}})
		}
	}
}

// String names the document as messages do.
func (d *document) String() string {
	name := d.name()
	if name == "" {
		name = d.text("mac")
	}
	return d.collection + " " + name
}

func (d *document) name() string { return d.text("name") }

// any returns a field.
func (d *document) any(field string) any {
	d.asked[field] = true
	return d.fields[field]
}

func (d *document) text(field string) string {
	switch v := d.any(field).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		if n, ok := integer(v); ok {
			return n.String()
		}
		return fmt.Sprint(v)
	}
}

// texts is nil for a field that is not there.
func (d *document) texts(field string) *string {
	if d.any(field) == nil {
		return nil
	}
	s := d.text(field)
	return &s
}

func (d *document) number(field string) (int64, bool) {
	n, ok := integer(d.any(field))
	if !ok || !n.IsInt64() || n.Int64() < 0 || n.Int64() > 1<<32-1 {
		return 0, false
	}
	return n.Int64(), true
}

func (d *document) bool(field string) bool {
	switch strings.ToLower(d.text(field)) {
	case "true", "1", "y", "yes":
		return true
	}
	return false
}

// list is a list of texts, or the words of one text.
func (d *document) list(field string) (all []string) {
	for _, v := range values(d.any(field)) {
		if s, ok := v.(string); ok {
			all = append(all, strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })...)
		}
	}
	return all
}

// prefix is the network's own: two numbers, or texts.
func (d *document) prefix() (netip.Prefix, error) {
	network, bits := d.any("NETWORK"), d.text("PREFIX")
	if s, ok := network.(string); ok {
		if _, digits := integer(s); !digits {
			return prefix(s, bits)
		}
	}
	n, ok := integer(network)
	if !ok {
		return netip.Prefix{}, fault.Invalidf("NETWORK %v is no number", network)
	}
	size := 4
	if d.text("version") == "6" || n.BitLen() > 32 {
		size = 16
	}
	a, err := fromNumber(n, size)
	if err != nil {
		return netip.Prefix{}, err
	}
	return prefix(a.String(), bits)
}

// addressIn returns the address that a value stands for in a network.
func addressIn(p netip.Prefix, value any) (netip.Addr, error) {
	n, ok := integer(value)
	if !ok {
		s, _ := value.(string)
		a, err := netip.ParseAddr(s)
		if err == nil && !p.Contains(a) {
			err = fault.Invalidf("%s is not in %s", a, p)
		}
		return a, err
	}
	first := new(big.Int).SetBytes(p.Addr().AsSlice())
	size := len(p.Addr().AsSlice())
	a, err := fromNumber(n, size)
	if err == nil && p.Contains(a) {
		return a, nil
	}
	if a, err = fromNumber(new(big.Int).Add(first, n), size); err == nil && !p.Contains(a) {
		err = fault.Invalidf("%s is not in %s", a, p)
	}
	return a, err
}

func fromNumber(n *big.Int, size int) (netip.Addr, error) {
	if n.Sign() < 0 || n.BitLen() > 8*size {
		return netip.Addr{}, fault.Invalidf("%s is no address", n)
	}
	a, _ := netip.AddrFromSlice(n.FillBytes(make([]byte, size)))
	return a, nil
}

// integer reads a number in any of the ways in which mongoexport writes one.
func integer(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case json.Number:
		return wholeNumber(v.String())
	case string:
		return wholeNumber(v)
	case map[string]any:
		for _, key := range []string{"$numberLong", "$numberInt", "$numberDouble", "$numberDecimal"} {
			if x, ok := v[key]; ok {
				return integer(x)
			}
		}
	}
	return nil, false
}

func wholeNumber(s string) (*big.Int, bool) {
	if len(s) > 60 {
		return nil, false
	}
	if n, ok := new(big.Int).SetString(s, 10); ok {
		return n, true
	}
	f, _, err := big.ParseFloat(s, 10, 256, big.ToNearestEven)
	if err != nil || !f.IsInt() || f.MantExp(nil) > 130 {
		return nil, false
	}
	n, _ := f.Int(nil)
	return n, true
}

// refID returns the id in an object id or a reference; empty when there is none.
func refID(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if id, ok := v["$oid"].(string); ok {
			return id
		}
		if id, ok := v["$id"]; ok {
			return refID(id)
		}
	}
	return ""
}

// values returns what a list or a mapping holds, or the value itself.
func values(v any) (all []any) {
	switch v := v.(type) {
	case nil:
	case []any:
		return v
	case map[string]any:
		for _, key := range slices.Sorted(keys(v)) {
			all = append(all, v[key])
		}
	default:
		all = []any{v}
	}
	return all
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
