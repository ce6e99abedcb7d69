package keep

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/durable"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// Files is the directory of what goes into the object store, named by digest.
type Files struct {
	dir  string
	conn *bus.Conn
}

// tempPrefix begins the names of files that are not whole yet.
const tempPrefix = ".new-"

// OpenFiles makes the directory, and removes from it what was left half written.
func OpenFiles(dir string, conn *bus.Conn) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of files: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	for _, f := range left {
		err = errors.Join(err, os.Remove(f))
	}
	if err != nil {
		return nil, fmt.Errorf("remove what was left half written: %w", err)
	}
	return &Files{dir: dir, conn: conn}, nil
}

// Path returns where the file of a digest lies.
func (f *Files) Path(d release.Digest) string { return filepath.Join(f.dir, d.Hex()) }

// Add takes a file by a function that writes it, and returns its digest.
func (f *Files) Add(write func(w io.Writer) error) (release.Digest, int64, error) {
	tmp, err := os.CreateTemp(f.dir, tempPrefix)
	if err != nil {
		return "", 0, err
	}
	defer os.Remove(tmp.Name()) // gone already when it was renamed
	h := sha256.New()
	if err := write(io.MultiWriter(tmp, h)); err != nil {
		return "", 0, errors.Join(err, tmp.Close())
	}
	info, err := tmp.Stat()
	if err != nil {
		return "", 0, errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return "", 0, err
	}
	d := release.DigestSum(h)
	if err := os.Rename(tmp.Name(), f.Path(d)); err != nil {
		return "", 0, err
	}
	return d, info.Size(), durable.Sync(f.dir)
}

// Upload puts the files that an outbox entry's releases name into the object
// store, those first that are missing there; nothing else needs any.
func (f *Files) Upload(ctx context.Context, e outbox.Entry) error {
	if _, ok := subject.ParseRelease(e.Subject); !ok {
		return nil
	}
	m := &imagepackerv1.Releases{}
	if err := wire.Event(e.Data, m); err != nil {
		return fmt.Errorf("decode releases: %w", err)
	}
	store, err := f.conn.JS.ObjectStore(ctx, subject.Files)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", subject.Files, err)
	}
	for _, r := range m.Releases {
		for _, d := range r.Digests() {
			if err := f.put(ctx, store, release.Digest(d)); err != nil {
				return fmt.Errorf("store %s: %w", d, err)
			}
		}
	}
	return nil
}

func (f *Files) put(ctx context.Context, store jetstream.ObjectStore, d release.Digest) error {
	if _, err := store.GetInfo(ctx, d.Hex()); err == nil {
		return nil
	} else if !errors.Is(err, jetstream.ErrObjectNotFound) {
		return err
	}
	file, err := os.Open(f.Path(d))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = store.Put(ctx, jetstream.ObjectMeta{Name: d.Hex()}, file)
	return err
}

// Sweep removes files, stored objects and segments that no kept release needs.
// No pack may run meanwhile.
func (f *Files) Sweep(ctx context.Context, payload string, all map[string]*imagepackerv1.Releases) error {
	files, segments := map[string]bool{}, map[string]bool{}
	for _, rs := range all {
		for _, r := range rs.Releases {
			for _, d := range r.Digests() {
				files[release.Digest(d).Hex()] = true
			}
			err := f.segments(r.Manifest, segments)
			if o := r.Overlay; o != nil && err == nil {
				err = f.segments(o.Manifest, segments)
			}
			if err != nil {
				return err // better too much than a segment too few
			}
		}
	}
	err := errors.Join(sweepDir(f.dir, files), sweepDir(payload, segments))
	store, storeErr := f.conn.JS.ObjectStore(ctx, subject.Files)
	if storeErr != nil {
		return errors.Join(err, storeErr)
	}
	objects, storeErr := store.List(ctx)
	if storeErr != nil && !errors.Is(storeErr, jetstream.ErrNoObjectsFound) {
		return errors.Join(err, storeErr)
	}
	for _, o := range objects {
		if !files[o.Name] {
			err = errors.Join(err, store.Delete(ctx, o.Name))
		}
	}
	return err
}

// segments adds the segments that a manifest lists; those of another head's are not here.
func (f *Files) segments(manifest string, into map[string]bool) error {
	data, err := os.ReadFile(f.Path(release.Digest(manifest)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	m, err := release.ParseManifest(data)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", manifest, err)
	}
	for _, s := range m.Segments {
		into[s.Digest.Hex()] = true
	}
	return nil
}

func sweepDir(dir string, wanted map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(e.Name()) == 64 && !wanted[e.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
