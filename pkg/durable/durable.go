// Package durable makes files outlast a power cut.
package durable

import (
	"errors"
	"os"
)

// Sync brings a file's bytes, or the names in a directory, to the disk (fsync(2)). A file that was made or renamed
// is sure to be found after a power cut only once its directory was brought there too.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
