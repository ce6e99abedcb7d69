package release

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// DefaultLevel is the zstd level that packs faster than links carry and smaller than gzip.
const DefaultLevel = 3

// Options tell what to pack and where to put it.
type Options struct {
	// Tree is the directory with the root file system.
	Tree string
	// PayloadDir gets the segments, each named by its digest's hex.
	PayloadDir string
	// KernelVersion is written into the manifest.
	KernelVersion string
	// PieceLength is what the image's last release had, kept while it still fits; 0 when there is none.
	PieceLength int64
	// Exclude holds path.Match patterns, relative to the tree, of what is left out with all below it.
	Exclude []string
	// Level is the zstd level, 1 to 22; 0 is DefaultLevel.
	Level int
	// Workers bounds the segments compressed at a time; 0 is the number of processors.
	Workers int
	// Index is a file that remembers which files each segment was made of, so that the next pack reads only what
	// changed. Empty for none.
	Index string
	// Progress, when set, is called as bytes of files are read, with the bytes done and the total. Calls do not overlap.
	Progress func(done, total int64)
	// Foreign, when set, is called with each directory, relative to the tree, where another file system is mounted: it is
	// packed without what is in it. Those that are packed empty in any case are not told.
	Foreign func(name string)

	now func() time.Time
}

// Pack stores the segments of the tree and returns the manifest. It follows no link and enters no other file system;
// proc, sys, dev, run and tmp are packed empty; etc/machine-id is packed blank; the D-Bus machine-id, random seeds and
// DHCP leases are left out, and sockets. The same tree gives the same segments, apart from a piece length that was
// kept. A file that changes, vanishes or comes while it is packed is an error that names it. Segments that lie in
// PayloadDir already are neither written nor, when the index knows their files, made again.
func Pack(ctx context.Context, opts Options) (*Manifest, error) { return pack(ctx, opts, Tree) }

// PackImage is Pack for a compressed EROFS image. Two of its segments may be the same as those of another release, the
// first, which has the directories, only of the same tree. The index must be another one than Pack has.
func PackImage(ctx context.Context, opts Options) (*Manifest, error) { return pack(ctx, opts, Image) }

func pack(ctx context.Context, opts Options, kind Kind) (*Manifest, error) {
	if opts.Level == 0 {
		opts.Level = DefaultLevel
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.now == nil {
		opts.now = time.Now
	}
	p := &packer{Options: opts, kind: kind, started: opts.now(), index: readIndex(opts.Index)}
	m, err := p.pack(ctx)
	for _, part := range p.parts {
		if part.draft != nil {
			part.draft.discard()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", opts.Tree, err)
	}
	return m, nil
}
