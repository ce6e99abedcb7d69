package swarm_test

import (
	"bytes"
	"fmt"
	"strconv"
)

// bdecode is a decoder of its own, strict as BEP 3 is: sorted keys, no leading zeros, nothing
// after the end. Strings are string, integers int, lists []any, dictionaries map[string]any.
func bdecode(data []byte) (v any, err error) {
	d := &bdecoder{data: data}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("at byte %d of %q: %v", d.at, data, p)
		}
	}()
	v = d.value()
	if d.at != len(data) {
		panic("something follows")
	}
	return v, nil
}

type bdecoder struct {
	data []byte
	at   int
}

func (d *bdecoder) value() any {
	switch c := d.data[d.at]; {
	case c == 'i':
		d.at++
		return d.number('e')
	case c == 'l':
		return d.list()
	case c == 'd':
		return d.dictionary()
	default:
		return d.text()
	}
}

func (d *bdecoder) number(end byte) int {
	n := bytes.IndexByte(d.data[d.at:], end)
	s := string(d.data[d.at : d.at+n])
	v, err := strconv.Atoi(s)
	if err != nil || strconv.Itoa(v) != s {
		panic("bad number " + s)
	}
	d.at += n + 1
	return v
}

func (d *bdecoder) text() string {
	n := d.number(':')
	s := string(d.data[d.at : d.at+n])
	d.at += n
	return s
}

func (d *bdecoder) list() any {
	d.at++
	l := []any{}
	for d.data[d.at] != 'e' {
		l = append(l, d.value())
	}
	d.at++
	return l
}

func (d *bdecoder) dictionary() any {
	d.at++
	m, last := map[string]any{}, ""
	for d.data[d.at] != 'e' {
		k := d.text()
		if len(m) > 0 && k <= last {
			panic("key " + k + " out of order")
		}
		last = k
		m[k] = d.value()
	}
	d.at++
	return m
}
