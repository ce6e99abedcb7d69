// Package projection folds streams into a bbolt file that can be thrown away
// at any time and is built anew from the bus.
package projection

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Event is one message of a stream.
type Event struct {
	Stream  string
	Subject string
	Seq     uint64
	Time    time.Time
	// Data is empty when the subject was deleted.
	Data []byte
}

// Deleted reports whether the event says that its subject is gone.
func (e Event) Deleted() bool { return len(e.Data) == 0 }

// Fold says how one stream becomes buckets.
type Fold struct {
	// Stream is the stream's name.
	Stream string
	// Version is raised whenever Apply would give other buckets from the same stream.
	Version int
	// Keeps says which part of the stream is kept, where folds differ in nothing
	// else: the file of a service that keeps another part is not this one's.
	Keeps string
	// Buckets are written by this fold alone.
	Buckets []string
	// Apply puts one event into the buckets. It depends on the transaction and
	// the event only, and never fails because something that is referred to is
	// missing: during a rebuild that may come later.
	Apply func(tx *Tx, ev Event) error
}

// And returns the fold of two that fold the same stream; it panics for two streams.
func (f Fold) And(g Fold) Fold {
	if f.Stream != g.Stream {
		panic("one fold is of stream " + f.Stream + ", the other of " + g.Stream)
	}
	return Fold{
		Stream: f.Stream, Version: f.Version<<8 + g.Version, Keeps: strings.TrimSpace(f.Keeps + " " + g.Keeps),
		Buckets: slices.Concat(f.Buckets, g.Buckets),
		Apply: func(tx *Tx, ev Event) error {
			if err := f.Apply(tx, ev); err != nil {
				return err
			}
			return g.Apply(tx, ev)
		},
	}
}

// ErrDamaged says that the file does not hold what was put into it.
var ErrDamaged = errors.New("state file is damaged")

// Tx is a transaction on a state. Values carry a CRC32C of their bucket, key
// and data, checked at every reading.
type Tx struct {
	tx *bolt.Tx
	// delta is by how much the entries were changed.
	delta tally
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(bucket, key string, data []byte) uint32 {
	c := crc32.Update(0, castagnoli, []byte(bucket))
	c = crc32.Update(c, castagnoli, []byte(key))
	return crc32.Update(c, castagnoli, data)
}

func (t *Tx) bucket(name string) (*bolt.Bucket, error) {
	b := t.tx.Bucket([]byte(name))
	if b == nil {
		return nil, fmt.Errorf("bucket %s is missing: %w", name, ErrDamaged)
	}
	return b, nil
}

// Get returns the value of a key; nil when there is none. It holds until the
// transaction ends.
func (t *Tx) Get(bucket, key string) ([]byte, error) {
	b, err := t.bucket(bucket)
	if err != nil {
		return nil, err
	}
	v := b.Get([]byte(key))
	if v == nil {
		return nil, nil
	}
	return open(bucket, key, v)
}

func open(bucket, key string, v []byte) ([]byte, error) {
	if len(v) < 4 || binary.BigEndian.Uint32(v) != sum(bucket, key, v[4:]) {
		return nil, fmt.Errorf("value of %s in %s: %w", key, bucket, ErrDamaged)
	}
	return v[4:], nil
}

// Put sets the value of a key.
func (t *Tx) Put(bucket, key string, data []byte) error {
	b, err := t.bucket(bucket)
	if err != nil {
		return err
	}
	if err := t.discount(b, bucket, key); err != nil {
		return err
	}
	v := binary.BigEndian.AppendUint32(make([]byte, 0, len(data)+4), sum(bucket, key, data))
	if err := b.Put([]byte(key), append(v, data...)); err != nil {
		return err
	}
	t.delta.add(bucket, key, data)
	return nil
}

// Delete removes a key; a key that is not there is no error.
func (t *Tx) Delete(bucket, key string) error {
	b, err := t.bucket(bucket)
	if err != nil {
		return err
	}
	if err := t.discount(b, bucket, key); err != nil {
		return err
	}
	return b.Delete([]byte(key))
}

// discount takes an entry that is about to go out of the tally.
func (t *Tx) discount(b *bolt.Bucket, bucket, key string) error {
	old := b.Get([]byte(key))
	if old == nil {
		return nil
	}
	data, err := open(bucket, key, old)
	if err == nil {
		t.delta.remove(bucket, key, data)
	}
	return err
}

// Each calls do for the keys that begin with prefix, from after on, in order,
// until it returns false. do must not change the bucket.
func (t *Tx) Each(bucket, prefix, after string, do func(key string, data []byte) bool) error {
	b, err := t.bucket(bucket)
	if err != nil {
		return err
	}
	start := prefix
	if after >= prefix && after != "" {
		start = after + "\x00"
	}
	c := b.Cursor()
	for k, v := c.Seek([]byte(start)); k != nil && len(k) >= len(prefix) && string(k[:len(prefix)]) == prefix; k, v = c.Next() {
		data, err := open(bucket, string(k), v)
		if err != nil {
			return err
		}
		if !do(string(k), data) {
			return nil
		}
	}
	return nil
}
