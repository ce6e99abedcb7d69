package token

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const keySize = 32

// Key is where the key that signs tokens comes from.
type Key interface {
	// Key returns at least 32 bytes.
	Key() ([]byte, error)
}

// File is a key of this head alone, kept in a file that only its owner reads.
type File struct{ key []byte }

// OpenFile reads the key, or makes it at the first start.
func OpenFile(path string) (File, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return File{}, fmt.Errorf("key of the boot tokens: %w", err)
	}
	if len(key) != keySize {
		return File{}, fmt.Errorf("key of the boot tokens: %s has %d bytes, not %d", path, len(key), keySize)
	}
	return File{key}, nil
}

// makeKey writes a whole key or none.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key)
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if err != nil {
		return nil, err
	}
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return key, nil
}

// Key returns the key.
func (f File) Key() ([]byte, error) { return f.key, nil }
