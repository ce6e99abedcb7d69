package projection

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"time"

	bolt "go.etcd.io/bbolt"
)

const cursorBucket = "projection"

// cursor says up to where a stream was folded, and which stream that was.
type cursor struct {
	Version int `json:"version"`
	// Keeps is the fold's.
	Keeps string `json:"keeps,omitempty"`
	// Created is the stream's; another one means another stream.
	Created time.Time `json:"created"`
	Seq     uint64    `json:"seq"`
	// Time is the server's time of message Seq; zero when it was not read.
	Time time.Time `json:"time"`
	// Tally is that of all entries of the fold's buckets.
	Tally tally `json:"tally"`
}

// tally tells whether buckets hold exactly what was put into them: CRCs of values do not show
// that an entry is gone, or that an old page has come back.
type tally struct {
	Count uint64 `json:"count"`
	// Sum adds up the FNV-1a hashes of bucket, key and data of each entry.
	Sum uint64 `json:"sum"`
}

func (t *tally) add(bucket, key string, data []byte) { t.Count++; t.Sum += hash(bucket, key, data) }

func (t *tally) remove(bucket, key string, data []byte) { t.Count--; t.Sum -= hash(bucket, key, data) }

func (t *tally) change(by tally) { t.Count += by.Count; t.Sum += by.Sum }

func hash(bucket, key string, data []byte) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, bucket) // never fails
	_, _ = h.Write([]byte{0})
	_, _ = io.WriteString(h, key)
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(data)
	return h.Sum64()
}

func readCursor(tx *Tx, stream string) (*cursor, error) {
	v, err := tx.Get(cursorBucket, stream)
	if err != nil || v == nil {
		return nil, err
	}
	var c cursor
	if err := json.Unmarshal(v, &c); err != nil {
		return nil, fmt.Errorf("cursor of %s: %w", stream, ErrDamaged)
	}
	return &c, nil
}

// of reports whether the cursor is one of this very fold.
func (c *cursor) of(f Fold) bool { return c.Version == f.Version && c.Keeps == f.Keeps }

func (c cursor) write(tx *Tx, stream string) error {
	v, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return tx.Put(cursorBucket, stream, v)
}

// reset empties the buckets of a fold.
func reset(tx *bolt.Tx, f Fold) error {
	for _, name := range f.Buckets {
		if tx.Bucket([]byte(name)) != nil {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return fmt.Errorf("empty bucket %s: %w", name, err)
			}
		}
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("make bucket %s: %w", name, err)
		}
	}
	return nil
}
