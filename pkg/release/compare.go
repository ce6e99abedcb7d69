package release

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// Difference is one name that two releases do not hold alike.
type Difference struct {
	// Name is the path relative to the root, "." for the root itself.
	Name string
	// Old and New tell whether the first and the second release have it.
	Old, New bool
	// Aspects are what differs where both have it: content, type, target, device, mode, owner, time, attributes.
	Aspects []string
	// Bytes is the size of the content in the second release less that in the first.
	Bytes int64
}

// Compare returns the differences between two releases whose segments lie in payload, sorted by name. Segments that
// both have are not read.
func Compare(ctx context.Context, payload string, old, new *Manifest) ([]Difference, error) {
	before, err := list(ctx, payload, old, new)
	if err != nil {
		return nil, err
	}
	after, err := list(ctx, payload, new, old)
	if err != nil {
		return nil, err
	}
	var all []Difference
	for name, was := range before {
		is, ok := after[name]
		if d := (Difference{Name: name, Old: true, New: ok, Bytes: is.size - was.size}); !ok {
			all = append(all, d)
		} else if d.Aspects = was.differs(is); len(d.Aspects) > 0 {
			all = append(all, d)
		}
	}
	for name, is := range after {
		if _, ok := before[name]; !ok {
			all = append(all, Difference{Name: name, New: true, Bytes: is.size})
		}
	}
	slices.SortFunc(all, func(a, b Difference) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// fact is what a release says of one name.
type fact struct {
	kind    byte
	target  string
	device  [2]int64
	mode    int64
	owner   [2]int
	mtime   int64
	xattrs  string
	size    int64
	content [sha256.Size]byte
	header  *tar.Header
}

func (f fact) differs(g fact) (aspects []string) {
	for _, a := range []struct {
		name string
		same bool
	}{
		{"type", f.kind == g.kind}, {"content", f.content == g.content && f.size == g.size}, {"target", f.target == g.target},
		{"device", f.device == g.device}, {"mode", f.mode == g.mode}, {"owner", f.owner == g.owner}, {"time", f.mtime == g.mtime},
		{"attributes", f.xattrs == g.xattrs},
	} {
		if !a.same {
			aspects = append(aspects, a.name)
		}
	}
	return aspects
}

// list returns what the segments of a release that another does not have hold, its links and its root.
func list(ctx context.Context, payload string, m, other *Manifest) (map[string]fact, error) {
	all := map[string]fact{".": {kind: tar.TypeDir, mode: int64(m.Root.Mode), owner: [2]int{m.Root.UID, m.Root.GID},
		mtime: m.Root.Mtime, xattrs: joined(m.Root.Xattrs), header: headerOfRoot(m.Root)}}
	for _, l := range m.Hardlinks {
		all[l.Path] = fact{kind: tar.TypeLink, target: l.Target, header: headerOfLink(l)}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range m.Segments {
		if slices.Contains(other.Segments, s) {
			continue
		}
		group.Go(func() error {
			facts, err := listSegment(ctx, filepath.Join(payload, s.Digest.Hex()))
			if err != nil {
				return fmt.Errorf("read segment %s: %w", s.Digest, err)
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(all, facts)
			return nil
		})
	}
	return all, group.Wait()
}

func listSegment(ctx context.Context, path string) (map[string]fact, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	facts := map[string]fact{}
	for tr := tar.NewReader(dec); ctx.Err() == nil; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return facts, nil
		}
		if err != nil {
			return nil, err
		}
		hdr.Name = strings.TrimSuffix(hdr.Name, "/")
		if facts[hdr.Name], err = factOf(hdr, tr); err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

func factOf(hdr *tar.Header, content io.Reader) (fact, error) {
	f := fact{kind: hdr.Typeflag, target: hdr.Linkname, device: [2]int64{hdr.Devmajor, hdr.Devminor}, mode: hdr.Mode,
		owner: [2]int{hdr.Uid, hdr.Gid}, mtime: hdr.ModTime.UnixNano(), xattrs: joined(Xattrs(hdr)), size: hdr.Size, header: hdr}
	if hdr.Typeflag == tar.TypeLink {
		return fact{kind: tar.TypeLink, target: hdr.Linkname, header: hdr}, nil
	}
	sum := sha256.New()
	_, err := io.Copy(sum, content)
	sum.Sum(f.content[:0])
	return f, err
}

func joined(xattrs map[string][]byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(xattrs)) {
		fmt.Fprintf(&b, "%q=%q ", name, xattrs[name])
	}
	return b.String()
}
