package release

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// Changed is one name that a newer release does not hold as an older one does, as the newer has it.
type Changed struct {
	// Header as in a segment's tar, without a slash at the end of a directory's name; "." is the root.
	Header *tar.Header
	// Gone says that the newer release does not have the name.
	Gone bool
	// Sum is the SHA-256 of a regular file's content.
	Sum []byte
	// Was is the type that the older release has under the name, as of tar; 0 when it has none.
	Was byte
}

// Changes returns the names that two releases whose segments lie in payload do not hold alike, sorted by name, and all
// links to a file that changed, with the files that they are links to.
func Changes(ctx context.Context, payload string, old, new *Manifest) ([]Changed, error) {
	before, err := list(ctx, payload, old, new)
	if err != nil {
		return nil, err
	}
	after, err := list(ctx, payload, new, old)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for name, is := range after {
		if was, ok := before[name]; !ok || len(was.differs(is)) > 0 {
			wanted[name] = true
		}
	}
	for name, is := range after {
		if is.kind == tar.TypeLink && wanted[is.target] {
			wanted[name] = true
		}
	}
	for name := range wanted {
		if is := after[name]; is.kind == tar.TypeLink && after[is.target].header != nil {
			wanted[is.target] = true
		}
	}
	var all []Changed
	for name := range wanted {
		is := after[name]
		c := Changed{Header: is.header, Was: before[name].kind}
		if is.kind == tar.TypeReg {
			c.Sum = is.content[:]
		}
		all = append(all, c)
	}
	for name, was := range before {
		if _, ok := after[name]; !ok {
			all = append(all, Changed{Header: was.header, Gone: true, Was: was.kind})
		}
	}
	slices.SortFunc(all, func(a, b Changed) int { return strings.Compare(a.Header.Name, b.Header.Name) })
	return all, nil
}

// Extract writes the regular files of a release that another does not have in the same segment, and that wanted names,
// as a zstd-compressed tar.
func Extract(ctx context.Context, payload string, m, other *Manifest, wanted map[string]bool, w io.Writer) error {
	enc, err := zstd.NewWriter(w)
	if err != nil {
		return err
	}
	defer enc.Reset(nil) // waits until nothing is written to w any more, also after an error
	tw := tar.NewWriter(enc)
	for _, s := range m.Segments {
		if slices.Contains(other.Segments, s) {
			continue
		}
		if err := extract(ctx, filepath.Join(payload, s.Digest.Hex()), wanted, tw); err != nil {
			return fmt.Errorf("read segment %s: %w", s.Digest, err)
		}
	}
	return errors.Join(tw.Close(), enc.Close())
}

func extract(ctx context.Context, path string, wanted map[string]bool, tw *tar.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer dec.Close()
	for tr := tar.NewReader(dec); ctx.Err() == nil; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if hdr.Typeflag != tar.TypeReg || !wanted[hdr.Name] {
			continue
		}
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := io.Copy(tw, tr); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// headerOfRoot describes a release's root as a directory named ".".
func headerOfRoot(r Root) *tar.Header {
	hdr := header(&entry{name: ".", stat: State{Mode: unix.S_IFDIR | r.Mode, UID: uint32(r.UID), GID: uint32(r.GID), Mtime: r.Mtime}})
	hdr.Name = "."
	setPAXXattrs(hdr, r.Xattrs)
	return hdr
}

// headerOfLink describes a link between segments, of which a release says only the names.
func headerOfLink(l Hardlink) *tar.Header {
	return &tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeLink, Name: l.Path, Linkname: l.Target}
}
