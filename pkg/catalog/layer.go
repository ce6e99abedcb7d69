package catalog

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
)

// Layer is a view with objects over it that are stored nowhere: how the
// inventory would be.
type Layer struct {
	View
	over *overlay
}

// Over returns a layer over a view; over the zero View, that of an empty inventory.
func Over(v View) *Layer {
	o := &overlay{below: v.tx, written: map[string]map[string][]byte{}, sorted: map[string][]string{}}
	return &Layer{View: View{tx: o}, over: o}
}

// Put sets an object.
func (l *Layer) Put(id string, m proto.Message) error {
	noun, _ := Unwrap(Wrap(m))
	if err := forget(l.over, noun, id); err != nil {
		return err
	}
	return keep(l.over, noun, id, m, 0)
}

// Delete removes an object.
func (l *Layer) Delete(noun Noun, id string) error {
	if err := forget(l.over, noun, id); err != nil {
		return err
	}
	return l.over.Delete(objects, key(noun, id))
}

// overlay holds what was written over a source, by bucket and key; nil is deleted.
type overlay struct {
	below   source // nil is empty
	written map[string]map[string][]byte
	sorted  map[string][]string // the keys of a bucket in order; absent after a write
}

// Put sets a value.
func (o *overlay) Put(bucket, key string, data []byte) error {
	if o.written[bucket] == nil {
		o.written[bucket] = map[string][]byte{}
	}
	o.written[bucket][key] = data
	delete(o.sorted, bucket)
	return nil
}

// Delete removes a value.
func (o *overlay) Delete(bucket, key string) error { return o.Put(bucket, key, nil) }

// Get returns a value; nil when there is none.
func (o *overlay) Get(bucket, key string) ([]byte, error) {
	if data, ok := o.written[bucket][key]; ok || o.below == nil {
		return data, nil
	}
	return o.below.Get(bucket, key)
}

// Each calls do for the values whose keys have a prefix in the order of their
// keys, after a key, until it returns false.
func (o *overlay) Each(bucket, prefix, after string, do func(key string, data []byte) bool) error {
	mine := o.keys(bucket, prefix, after)
	more := true
	// upTo gives what was written below a key, or all of it.
	upTo := func(end string) bool {
		for len(mine) > 0 && more && (end == "" || mine[0] < end) {
			if data := o.written[bucket][mine[0]]; data != nil {
				more = do(mine[0], data)
			}
			mine = mine[1:]
		}
		return more
	}
	if o.below != nil {
		err := o.below.Each(bucket, prefix, after, func(k string, data []byte) bool {
			if !upTo(k) {
				return false
			}
			if _, written := o.written[bucket][k]; !written {
				more = do(k, data)
			}
			return more
		})
		if err != nil {
			return err
		}
	}
	upTo("")
	return nil
}

// keys returns the written keys with a prefix that come after a key, in order.
func (o *overlay) keys(bucket, prefix, after string) []string {
	all, ok := o.sorted[bucket]
	if !ok {
		for k := range o.written[bucket] {
			all = append(all, k)
		}
		slices.Sort(all)
		o.sorted[bucket] = all
	}
	from, _ := slices.BinarySearch(all, prefix)
	if after >= prefix && after != "" {
		from, _ = slices.BinarySearch(all, after+"\x00")
	}
	all = all[from:]
	for i, k := range all {
		if !strings.HasPrefix(k, prefix) {
			return all[:i]
		}
	}
	return all
}
