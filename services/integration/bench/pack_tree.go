package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	// tooBig is a file that is not taken: few of them would be most of the tree.
	tooBig = 64 << 20
	// stride is how often a copy is changed, and sprinkle how many bytes there.
	stride, sprinkle = 16 << 10, 64
)

// growTree copies the files of from into a tree, as often as it takes to have size bytes; each copy but the first has
// changes of its own. The same files give the same tree.
func growTree(ctx context.Context, from, tree string, size int64) (files int, bytes int64, err error) {
	for n := 0; bytes < size; n++ {
		before := bytes
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || bytes >= size || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err != nil || info.Size() > tooBig {
				return err
			}
			name, err := filepath.Rel(from, path)
			if err != nil {
				return err
			}
			files, bytes = files+1, bytes+info.Size()
			return copyChanged(path, filepath.Join(tree, fmt.Sprintf("usr%02d", n), name), info.Mode(), n, files)
		})
		if err != nil {
			return 0, 0, err
		}
		if bytes == before {
			return 0, 0, fmt.Errorf("there are no files in %s", from)
		}
	}
	return files, bytes, nil
}

// copyChanged copies a file; copy n of it is changed here and there.
func copyChanged(from, to string, mode fs.FileMode, n, file int) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if n > 0 {
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], uint64(n))
		binary.LittleEndian.PutUint64(seed[8:], uint64(file))
		src := rand.NewChaCha8(seed)
		for at := stride / 2; at+sprinkle < len(data); at += stride {
			_, _ = src.Read(data[at : at+sprinkle]) // never fails
		}
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	when := time.Unix(1.7e9+int64(file), 0)
	return errors.Join(os.WriteFile(to, data, 0o600), os.Chmod(to, mode.Perm()), os.Chtimes(to, when, when))
}

// change writes a small file of the tree anew, with as many bytes.
func change(tree string, round int) error {
	var small string
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 500 && info.Size() < 5000 {
			small, err = path, fs.SkipAll
		}
		return err
	})
	if err != nil {
		return err
	}
	data, err := os.ReadFile(small)
	if err != nil {
		return fmt.Errorf("find a small file: %w", err)
	}
	copy(data, fmt.Sprintf("round %d of %d\n", round, time.Now().UnixNano()))
	return os.WriteFile(small, data, 0o644)
}

// countTree counts the regular files of a tree and their bytes.
func countTree(tree string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(tree, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files, bytes = files+1, bytes+info.Size()
		}
		return err
	})
	return files, bytes, err
}

// sizeOf returns the bytes of what was packed, without what Luna remembers for the next pack.
func sizeOf(dir string) (int64, error) {
	_, bytes, err := countTree(filepath.Join(dir, "packed"))
	return bytes, err
}
