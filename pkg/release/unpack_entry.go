package release

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// segmentWriter makes the entries of one segment.
type segmentWriter struct {
	unpacker *Unpacker
	dir      *beneath.Dir
	second   *beneath.Dir
	dirs     []*tar.Header
	refused  map[string]int
	files    int
	bytes    int64
	buf      []byte
}

func (w *segmentWriter) entries(ctx context.Context, tr *tar.Reader) error {
	w.buf = make([]byte, 64*blockSize)
	second, err := beneath.Open(w.unpacker.root)
	if err != nil {
		return err
	}
	defer second.Close()
	w.second = second
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.entry(ctx, hdr, tr); err != nil {
			return fmt.Errorf("%s: %w", hdr.Name, err)
		}
		w.files++
		w.unpacker.files.Add(1)
	}
}

func (w *segmentWriter) entry(ctx context.Context, hdr *tar.Header, content io.Reader) error {
	if hdr.Typeflag == tar.TypeDir {
		hdr.Name = strings.TrimSuffix(hdr.Name, "/")
	}
	at, base, err := w.dir.Parent(hdr.Name, true)
	if err != nil {
		return err
	}
	switch hdr.Typeflag {
	case tar.TypeDir:
		return w.mkdir(at, base, hdr)
	case tar.TypeReg:
		return w.regular(ctx, at, base, hdr, content)
	case tar.TypeLink:
		return makeLink(w.second, hdr.Linkname, w.dir, hdr.Name)
	case tar.TypeSymlink:
		err = replace(at, base, func() error { return unix.Symlinkat(hdr.Linkname, at, base) })
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		err = replace(at, base, func() error { return unix.Mknodat(at, base, nodeMode(hdr), nodeDevice(hdr)) })
	default:
		return fmt.Errorf("entry of type %q", hdr.Typeflag)
	}
	if err != nil {
		return err
	}
	return setNode(at, base, hdr, w.refused)
}

// mkdir makes the directory now and leaves the rest to Finish: files are still to be made in it.
func (w *segmentWriter) mkdir(at int, base string, hdr *tar.Header) error {
	err := unix.Mkdirat(at, base, 0o755)
	if errors.Is(err, unix.EEXIST) {
		var st unix.Stat_t
		if err := unix.Fstatat(at, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return unix.ENOTDIR
		}
	} else if err != nil {
		return err
	}
	w.dirs = append(w.dirs, hdr)
	return nil
}

// replace runs make, and again after removing what was in its way. A directory in the way is an error.
func replace(at int, base string, make func() error) error {
	err := make()
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := unix.Unlinkat(at, base, 0); err != nil {
		return fmt.Errorf("remove what is in the way: %w", err)
	}
	return make()
}

// makeLink makes path in to a second name of target in from. The last parts are never followed.
func makeLink(from *beneath.Dir, target string, to *beneath.Dir, path string) error {
	fromAt, fromBase, err := from.Parent(target, false)
	if err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	toAt, toBase, err := to.Parent(path, true)
	if err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	err = replace(toAt, toBase, func() error { return unix.Linkat(fromAt, fromBase, toAt, toBase, 0) })
	if err != nil {
		return fmt.Errorf("link %s to %s: %w", path, target, err)
	}
	return nil
}

func nodeMode(hdr *tar.Header) uint32 {
	switch hdr.Typeflag {
	case tar.TypeChar:
		return unix.S_IFCHR | 0o600
	case tar.TypeBlock:
		return unix.S_IFBLK | 0o600
	}
	return unix.S_IFIFO | 0o600
}

func nodeDevice(hdr *tar.Header) int {
	return int(unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor)))
}
