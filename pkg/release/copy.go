package release

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// Copy makes below to, an empty directory, the tree that a node would get of the one below from: what Pack leaves out
// is left out, and all that a release keeps is kept. An attribute that the file system of to does not know is an
// error. progress, when set, is called with the bytes of files read until now, and of all, and foreign as of Options.
func Copy(ctx context.Context, from, to string, progress func(done, total int64), foreign func(name string)) error {
	root, err := rootOf(from)
	if err != nil {
		return err
	}
	_, entries, err := walk(ctx, from, nil)
	if err != nil {
		return err
	}
	tellForeign(entries, foreign)
	markLinks(entries)
	u := NewUnpacker(to, &Manifest{Root: root})
	if err := pipe(ctx, from, entries, u, progress); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := u.Finish(); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if refused := slices.Sorted(maps.Keys(u.Refused())); len(refused) > 0 {
		return fmt.Errorf("the file system of %s does not know the attributes %s", to, strings.Join(refused, ", "))
	}
	return nil
}

// pipe reads the entries of a tree while u makes them.
func pipe(ctx context.Context, from string, entries []entry, u *Unpacker, progress func(done, total int64)) error {
	var done int64
	total := contentOf(entries)
	read := func(n int64) {
		if done += n; progress != nil {
			progress(done, total)
		}
	}
	r, w := io.Pipe()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := readTree(ctx, from, entries, tar.NewWriter(w), read)
		return errors.Join(err, w.CloseWithError(err)) // nil is the end
	})
	group.Go(func() error {
		err := u.whole(ctx, r)
		return errors.Join(err, r.CloseWithError(err))
	})
	return group.Wait()
}

// whole makes what one tar holds, the tree of a manifest without segments.
func (u *Unpacker) whole(ctx context.Context, r io.Reader) error {
	dir, err := beneath.Open(u.root)
	if err != nil {
		return err
	}
	w := &segmentWriter{unpacker: u, refused: u.refused, dir: dir}
	if err = w.entries(ctx, tar.NewReader(r)); err == nil {
		_, err = io.Copy(io.Discard, r) // lets the writer end
	}
	u.dirs = w.dirs
	return errors.Join(err, dir.Close())
}
