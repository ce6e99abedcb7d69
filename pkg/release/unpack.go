package release

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// Unpacker makes the tree of a release below a root directory, one segment after the other or several at a time.
// It needs root's rights, and /proc mounted.
type Unpacker struct {
	root     string
	manifest *Manifest
	segments map[Digest]Segment

	files, bytes atomic.Int64
	// decoders are used again: each has some ten megabytes.
	decoders sync.Pool

	mu      sync.Mutex
	dirs    []*tar.Header
	done    map[Digest]bool
	refused map[string]int
}

// NewUnpacker returns an Unpacker of m below root, a directory that exists. Files that are in the way are replaced;
// directories are kept.
func NewUnpacker(root string, m *Manifest) *Unpacker {
	u := &Unpacker{
		root: root, manifest: m,
		segments: make(map[Digest]Segment, len(m.Segments)),
		done:     make(map[Digest]bool, len(m.Segments)),
		refused:  make(map[string]int),
	}
	for _, s := range m.Segments {
		u.segments[s.Digest] = s
	}
	return u
}

// Stats returns the entries made and the bytes written until now.
func (u *Unpacker) Stats() (files, bytes int64) { return u.files.Load(), u.bytes.Load() }

// Refused returns the names of the extended attributes that the file system does not know (a tmpfs knows no user.*
// before Linux 6.6), each with the number of files that go without it.
func (u *Unpacker) Refused() map[string]int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.refused)
}

// Segment unpacks one stored segment of the manifest, read from r to its end. Its digest is computed in passing: when
// that or anything else is wrong, Segment fails and what it wrote must not be used. Different segments may be unpacked
// at the same time; a failed one may be tried again.
func (u *Unpacker) Segment(ctx context.Context, seg Segment, r io.Reader) error {
	known, ok := u.segments[seg.Digest]
	if !ok || known != seg {
		return fmt.Errorf("segment %s is not in the manifest", seg.Digest)
	}
	w := &segmentWriter{unpacker: u, refused: make(map[string]int)}
	if err := w.unpack(ctx, seg, r); err != nil {
		return fmt.Errorf("unpack segment %s: %w", seg.Digest, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done[seg.Digest] {
		return nil
	}
	u.done[seg.Digest] = true
	u.dirs = append(u.dirs, w.dirs...)
	for name, n := range w.refused {
		u.refused[name] += n
	}
	return nil
}

// unpack reads the stored segment from r into the tree.
func (w *segmentWriter) unpack(ctx context.Context, seg Segment, r io.Reader) error {
	dir, err := beneath.Open(w.unpacker.root)
	if err != nil {
		return err
	}
	defer dir.Close()
	w.dir = dir

	sum := sha256.New()
	stored := &countingReader{r: io.TeeReader(io.LimitReader(r, seg.Size+1), sum)}
	dec, err := w.unpacker.decoder(stored)
	if err != nil {
		return err
	}
	defer w.unpacker.keep(dec)
	tarErr := w.entries(ctx, tar.NewReader(dec))
	if tarErr == nil {
		_, tarErr = io.Copy(io.Discard, dec)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return err
	}
	if got := DigestSum(sum); got != seg.Digest || stored.n != seg.Size {
		return fmt.Errorf("stored file is %s with %d bytes, want %d", got, stored.n, seg.Size)
	}
	if tarErr != nil {
		return tarErr
	}
	if w.files != seg.Files || w.bytes != seg.Unpacked {
		return fmt.Errorf("holds %d files, %d bytes; the manifest says %d, %d", w.files, w.bytes, seg.Files, seg.Unpacked)
	}
	return nil
}

// decoder returns one that reads from r, to be given back to keep.
func (u *Unpacker) decoder(r io.Reader) (*zstd.Decoder, error) {
	if dec, ok := u.decoders.Get().(*zstd.Decoder); ok {
		return dec, dec.Reset(r)
	}
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

// keep takes a decoder that was used. With a concurrency of one it has no goroutines and needs no Close.
func (u *Unpacker) keep(dec *zstd.Decoder) {
	if dec.Reset(nil) == nil {
		u.decoders.Put(dec)
	}
}

// maxWindow is what zstd(1) reads without being told; our encoder uses less.
const maxWindow = 128 << 20

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// Finish makes the links between segments and gives each directory, the root last, its owner, mode, attributes and
// times. Every segment must have been unpacked.
func (u *Unpacker) Finish() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if missing := len(u.segments) - len(u.done); missing > 0 {
		return fmt.Errorf("finish the tree: %d of %d segments are not unpacked", missing, len(u.segments))
	}
	if err := u.link(); err != nil {
		return fmt.Errorf("finish the tree: %w", err)
	}
	if err := u.finishDirs(); err != nil {
		return fmt.Errorf("finish the tree: %w", err)
	}
	return nil
}

func (u *Unpacker) link() (err error) {
	from, err := beneath.Open(u.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := beneath.Open(u.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	for _, l := range u.manifest.Hardlinks {
		if err := makeLink(from, l.Target, to, l.Path); err != nil {
			return err
		}
		u.files.Add(1)
	}
	return nil
}

func (u *Unpacker) finishDirs() (err error) {
	dir, err := beneath.Open(u.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	for _, hdr := range slices.Backward(u.dirs) {
		if err := finishDir(dir, hdr, u.refused); err != nil {
			return err
		}
	}
	return finishRoot(u.root, u.manifest.Root, u.refused)
}
