package release

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/durable"
)

// packer is one pack on its way: walk, cut, compress, choose the piece length, pad and store.
type packer struct {
	Options
	kind    Kind
	started time.Time
	index   *index
	parts   []*part

	mu          sync.Mutex
	done, total int64
}

// part is a segment in the making: known from the index, or a draft.
type part struct {
	entries []entry
	bytes   int64
	key     string
	draft   *draft
	made    []imageFile
	stored  *stored
}

func (p *packer) pack(ctx context.Context) (*Manifest, error) {
	root, err := rootOf(p.Tree)
	if err != nil {
		return nil, err
	}
	state, entries, err := walk(ctx, p.Tree, p.Exclude)
	if err != nil {
		return nil, err
	}
	tellForeign(entries, p.Foreign)
	markLinks(entries)
	segments, links := cut(entries), []Hardlink{}
	if p.kind == Tree {
		if segments, links, err = crossLinks(p.Tree, segments); err != nil {
			return nil, err
		}
	}
	p.plan(segments)
	if err := p.each(ctx, p.make); err != nil {
		return nil, err
	}
	length, err := p.store(ctx, root)
	if err != nil {
		return nil, err
	}
	if err := p.finish(state); err != nil {
		return nil, err
	}
	m := &Manifest{Format: Format, Kind: p.kind, PieceLength: length, KernelVersion: p.KernelVersion, Root: root, Hardlinks: links,
		Segments: []Segment{}, pieces: make(map[Digest][]byte)}
	for _, part := range p.parts {
		m.Segments = append(m.Segments, part.stored.Segment)
		m.Unpacked += part.stored.Unpacked
		m.pieces[part.stored.Digest] = part.stored.Pieces
	}
	return m, m.Validate()
}

// store stores all parts, and returns the piece length that it chose.
func (p *packer) store(ctx context.Context, root Root) (int64, error) {
	var index *imageIndex
	if p.kind == Image {
		var err error
		if index, err = p.newImageIndex(root); err != nil {
			return 0, err
		}
	}
	length := p.pieceLength(index.size())
	err := p.each(ctx, func(_ context.Context, part *part) error { return p.keep(part, length) })
	if err == nil && index != nil {
		err = p.keepIndex(index, length)
	}
	return length, err
}

func (p *packer) plan(segments [][]entry) {
	for _, entries := range segments {
		part := &part{entries: entries, key: segmentKey(entries, p.kind, p.Level), bytes: contentOf(entries)}
		p.total += part.bytes
		p.parts = append(p.parts, part)
	}
}

// each runs do for every part, the biggest first, some at a time.
func (p *packer) each(ctx context.Context, do func(context.Context, *part) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.Workers)
	order := slices.Clone(p.parts)
	slices.SortStableFunc(order, func(a, b *part) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, part := range order {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, part)
		})
	}
	return g.Wait()
}

// make finds the part in the index or compresses it.
func (p *packer) make(ctx context.Context, part *part) (err error) {
	if s := p.index.Segments[part.key]; s != nil && s.holds(p.kind, part) && isStored(filepath.Join(p.PayloadDir, s.Digest.Hex()), s.Size) {
		part.stored, part.made = s, s.Made
		p.progress(part.bytes)
		return nil
	}
	if part.draft, err = newDraft(p.PayloadDir); err != nil {
		return err
	}
	if p.kind == Image {
		part.made, err = part.draft.image(ctx, p.Tree, part.entries, p.progress)
		return err
	}
	return part.draft.compress(ctx, p.Tree, part.entries, p.Level, p.progress)
}

// holds tells whether the index knows all of the part.
func (s *stored) holds(kind Kind, part *part) bool {
	return kind != Image || len(s.Made) == len(part.entries)
}

// pieceLength chooses by the padded size, which depends on the choice. index is the size of an image's index.
func (p *packer) pieceLength(index int64) int64 {
	raw := index
	for _, part := range p.parts {
		raw += part.raw()
	}
	length := ChoosePieceLength(raw, p.PieceLength)
	padded := index
	for _, part := range p.parts {
		padded += part.raw() + padding(p.kind, part.raw(), length)
	}
	return ChoosePieceLength(padded, length)
}

func (part *part) raw() int64 {
	if part.stored != nil {
		return part.stored.Raw
	}
	return part.draft.raw
}

// keep stores the part with its padding.
func (p *packer) keep(part *part, length int64) (err error) {
	if s := part.stored; s != nil {
		if s.PieceLength == length {
			return nil
		}
		if part.draft, err = newDraft(p.PayloadDir); err != nil {
			return err
		}
		if err := part.draft.copyStored(p.PayloadDir, s); err != nil {
			return err
		}
	}
	if part.stored, err = part.draft.keep(p.PayloadDir, p.kind, length); err == nil {
		part.stored.Made = part.made
	}
	return err
}

// finish makes the segments last, checks that the root stayed as it was, and writes the index.
func (p *packer) finish(state State) error {
	if err := p.syncNames(); err != nil {
		return fmt.Errorf("store segments: %w", err)
	}
	if now, err := Stat(unix.AT_FDCWD, p.Tree+"/."); err != nil {
		return err
	} else if now != state {
		return fmt.Errorf("root directory: %w", errChanged)
	}
	next := &index{Version: indexVersion, Segments: make(map[string]*stored, len(p.parts))}
	for _, part := range p.parts {
		if part.key != "" && isSettled(part.entries, p.started) {
			next.Segments[part.key] = part.stored
		}
	}
	return next.write(p.Index)
}

// syncNames makes the names of new segments last.
func (p *packer) syncNames() error {
	if !slices.ContainsFunc(p.parts, func(part *part) bool { return part.draft != nil }) {
		return nil
	}
	return durable.Sync(p.PayloadDir)
}

func (p *packer) progress(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.Progress != nil {
		p.Progress(p.done, p.total)
	}
}

// rootOf reads the metadata of a tree's root directory.
func rootOf(tree string) (Root, error) {
	path := tree + "/."
	st, err := Stat(unix.AT_FDCWD, path)
	if err != nil {
		return Root{}, &os.PathError{Op: "stat", Path: tree, Err: err}
	}
	attrs, err := readXattrs(func(b []byte) (int, error) { return unix.Listxattr(path, b) },
		func(name string, b []byte) (int, error) { return unix.Getxattr(path, name, b) })
	if err != nil {
		return Root{}, err
	}
	return Root{Mode: st.Mode & 0o7777, UID: int(st.UID), GID: int(st.GID), Mtime: st.Mtime, Xattrs: attrs}, nil
}
