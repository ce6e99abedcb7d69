package kept

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/luna-hpc/luna/pkg/release"
)

// maxFile is the largest file that is fetched, in bytes: manifests are the largest.
const maxFile = release.MaxManifest

// Store is where files of releases come from. Objects are named by their digest's hex.
type Store interface {
	// Get opens an object.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
}

// Files is a folder of files named by the hex of their digest.
type Files struct {
	dir   string
	store Store
	log   *slog.Logger
}

// OpenFiles opens or makes the folder.
func OpenFiles(dir string, store Store, log *slog.Logger) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of released files: %w", err)
	}
	return &Files{dir: dir, store: store, log: log}, nil
}

// Read returns a file whose digest is right, from disk or, when it is not there or damaged, from the store.
func (f *Files) Read(ctx context.Context, d release.Digest) ([]byte, error) {
	path := filepath.Join(f.dir, d.Hex())
	data, err := os.ReadFile(path)
	switch {
	case err == nil && release.DigestOf(data) == d:
		return data, nil
	case err == nil:
		f.log.Warn("released file is damaged and fetched again", "file", d.Hex())
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read released file: %w", err)
	}
	if data, err = f.fetch(ctx, d); err != nil {
		return nil, fmt.Errorf("fetch released file %s: %w", d.Hex(), err)
	}
	if err := renameio.WriteFile(path, data, 0o600); err != nil {
		return nil, fmt.Errorf("keep released file: %w", err)
	}
	f.log.Info("released file fetched", "file", d.Hex())
	return data, nil
}

func (f *Files) fetch(ctx context.Context, d release.Digest) (data []byte, err error) {
	object, err := f.store.Get(ctx, d.Hex())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	if data, err = io.ReadAll(io.LimitReader(object, maxFile)); err != nil {
		return nil, err
	}
	if got := release.DigestOf(data); got != d {
		return nil, fmt.Errorf("its digest is %s", got)
	}
	return data, nil
}

// Sweep removes the files that are not in keep.
func (f *Files) Sweep(keep map[release.Digest]bool) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("list released files: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if d, err := release.ParseDigest("sha256:" + e.Name()); err == nil && keep[d] {
			continue
		}
		if err := os.Remove(filepath.Join(f.dir, e.Name())); err != nil {
			errs = append(errs, fmt.Errorf("remove released file: %w", err))
		}
	}
	return errors.Join(errs...)
}
