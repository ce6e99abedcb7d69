package projection

import (
	"bytes"
	"sync"
)

// maxDecoded bounds what is remembered, in messages.
const maxDecoded = 4096

// Decoded remembers messages that were decoded from a state's values, for
// readers that need the same few again and again. A message is that of the
// bytes that it was decoded from, whatever the state did since. Messages are
// shared: nobody may change them. The zero value is ready.
type Decoded[M any] struct {
	mu   sync.RWMutex
	kept map[string]decoded[M]
}

type decoded[M any] struct {
	data []byte
	m    M
}

// Of returns the message of a key's value, decoded now or before.
func (d *Decoded[M]) Of(key string, data []byte, decode func(data []byte) (M, error)) (M, error) {
	d.mu.RLock()
	old, ok := d.kept[key]
	d.mu.RUnlock()
	if ok && bytes.Equal(old.data, data) {
		return old.m, nil
	}
	m, err := decode(data)
	if err == nil {
		d.keep(key, decoded[M]{bytes.Clone(data), m})
	}
	return m, err
}

func (d *Decoded[M]) keep(key string, one decoded[M]) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil || len(d.kept) >= maxDecoded {
		d.kept = map[string]decoded[M]{}
	}
	d.kept[key] = one
}
