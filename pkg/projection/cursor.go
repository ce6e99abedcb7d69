package projection

import (
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

const cursorBucket = "projection"

// cursor says up to where a stream was folded, and which stream that was.
type cursor struct {
	Version int `json:"version"`
	// Created is the stream's; another one means another stream.
	Created time.Time `json:"created"`
	Seq     uint64    `json:"seq"`
	// Time is the server's time of message Seq; zero when it was not read.
	Time time.Time `json:"time"`
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
