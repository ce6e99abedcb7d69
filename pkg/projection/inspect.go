package projection

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// inspect reads a whole file before it is used: opened for writing, bbolt looks
// at its pages in a goroutine of its own, and a panic there cannot be recovered.
// A file that is missing or empty is sound.
func inspect(path string, folds []Fold) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && st.Size() == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at state: %w", err)
	}
	return guard(func() error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: true})
		if err != nil {
			return err
		}
		defer closeQuietly(db)
		return db.View(func(btx *bolt.Tx) error {
			tallies := map[string]tally{}
			err := btx.ForEach(func(name []byte, b *bolt.Bucket) (err error) {
				tallies[string(name)], err = count(string(name), b, st.Size())
				return err
			})
			if err != nil || btx.Bucket([]byte(cursorBucket)) == nil {
				return err
			}
			for _, f := range folds {
				if err := compare(&Tx{tx: btx}, f, tallies); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// count reads every entry of a bucket, by its order and by its key.
func count(name string, b *bolt.Bucket, size int64) (t tally, err error) {
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		data, err := open(name, string(k), v)
		if err != nil {
			return t, err
		}
		if !bytes.Equal(b.Get(k), v) {
			return t, fmt.Errorf("entry %q of %s is not found by its key: %w", k, name, ErrDamaged)
		}
		if t.add(name, string(k), data); int64(t.Count) > size {
			return t, fmt.Errorf("bucket %s does not end: %w", name, ErrDamaged)
		}
	}
	return t, nil
}

// compare looks whether a fold's buckets hold what was put into them.
func compare(tx *Tx, f Fold, tallies map[string]tally) error {
	c, err := readCursor(tx, f.Stream)
	if err != nil || c == nil || !c.of(f) {
		return err
	}
	var got tally
	for _, name := range f.Buckets {
		got.change(tallies[name])
	}
	if got != c.Tally {
		return fmt.Errorf("fold of %s has %d entries that are not the %d that were put: %w", f.Stream, got.Count, c.Tally.Count, ErrDamaged)
	}
	return nil
}
