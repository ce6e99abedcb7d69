package release

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release/internal/inroot"
)

// Layers makes below a root directory the tree that the layers of a container image stand for, as the OCI image
// specification says (layer.md): whiteouts hide what earlier layers brought, a directory that comes again keeps what is
// in it. All that an Unpacker keeps is kept. Links are followed as in a root of its own, so that nothing is written
// elsewhere; a name with ".." is an error. It needs root's rights, and /proc mounted.
type Layers struct {
	root string
	dir  *inroot.Dir
	w    *segmentWriter
	// dirs has what each directory's last entry says, by inode: set by Finish, so that nothing made in a directory
	// changes it.
	dirs map[uint64]*tar.Header
	// fresh has the names that this layer brought, which its whiteouts do not hide.
	fresh map[nameAt]bool
}

// nameAt is a name in a directory, whichever path led there.
type nameAt struct {
	dir  uint64
	base string
}

// NewLayers returns Layers that go to root, an empty directory on a file system without others below. Finish or Close
// ends it.
func NewLayers(root string) (*Layers, error) {
	dir, err := inroot.Open(root)
	if err != nil {
		return nil, err
	}
	u := &Unpacker{root: root}
	l := &Layers{root: root, dir: dir, dirs: make(map[uint64]*tar.Header),
		w: &segmentWriter{unpacker: u, refused: make(map[string]int), buf: make([]byte, 64*blockSize)}}
	st, err := Stat(unix.AT_FDCWD, root)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	l.dirs[st.Ino] = implied()
	return l, nil
}

// implied is the entry of a directory that no layer describes.
func implied() *tar.Header {
	return &tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, ModTime: time.Now()}
}

// Refused returns the names of the extended attributes that the file system does not know, each with the number of
// files that go without it.
func (l *Layers) Refused() map[string]int { return maps.Clone(l.w.refused) }

// Close ends the work without finishing the tree; after Finish it does nothing.
func (l *Layers) Close() error {
	if l.dir == nil {
		return nil
	}
	err := l.dir.Close()
	l.dir = nil
	return err
}

// Add puts a layer, a plain tar, on top of those before it, and reads r to its end. After an error the tree is of no
// use.
func (l *Layers) Add(ctx context.Context, r io.Reader) error {
	l.fresh = make(map[nameAt]bool)
	for tr := tar.NewReader(r); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		if err := l.entry(ctx, hdr, tr); err != nil {
			return fmt.Errorf("%q: %w", hdr.Name, err)
		}
	}
}

func (l *Layers) entry(ctx context.Context, hdr *tar.Header, content io.Reader) error {
	name, err := inroot.Clean(hdr.Name)
	if err != nil {
		return err
	}
	if hdr.Typeflag == tar.TypeXGlobalHeader || isLayerMeta(name) {
		return nil
	}
	if name == "" {
		return l.rootEntry(hdr)
	}
	if base := name[strings.LastIndex(name, "/")+1:]; strings.HasPrefix(base, whiteout) {
		return l.hide(name)
	}
	at, base, err := l.dir.Parent(name, l.implied)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	if err := l.clear(at, base, hdr.Typeflag == tar.TypeDir); err != nil {
		return fmt.Errorf("remove what is in the way: %w", err)
	}
	if err := l.put(ctx, at, base, hdr, content); err != nil {
		return err
	}
	dir, err := Stat(at, "")
	l.fresh[nameAt{dir.Ino, base}] = true
	return err
}

// put makes one entry where nothing is, or a directory where there may be one.
func (l *Layers) put(ctx context.Context, at int, base string, hdr *tar.Header, content io.Reader) error {
	switch hdr.Typeflag {
	case tar.TypeDir:
		return l.mkdir(at, base, hdr)
	case tar.TypeReg, tar.TypeGNUSparse:
		return l.w.regular(ctx, at, base, hdr, content)
	case tar.TypeLink:
		return l.link(at, base, hdr.Linkname)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(hdr.Linkname, at, base); err != nil {
			return err
		}
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		if err := unix.Mknodat(at, base, nodeMode(hdr), nodeDevice(hdr)); err != nil {
			return err
		}
	default:
		return fmt.Errorf("entry of type %q", hdr.Typeflag)
	}
	return setNode(at, base, hdr, l.w.refused)
}

func (l *Layers) rootEntry(hdr *tar.Header) error {
	if hdr.Typeflag != tar.TypeDir {
		return errors.New("the root is no directory")
	}
	st, err := Stat(unix.AT_FDCWD, l.root)
	l.dirs[st.Ino] = hdr
	return err
}

func (l *Layers) mkdir(at int, base string, hdr *tar.Header) error {
	if err := unix.Mkdirat(at, base, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	st, err := Stat(at, base)
	l.dirs[st.Ino] = hdr
	return err
}

// implied notes a directory that was made because something in it came.
func (l *Layers) implied(fd int) error {
	st, err := Stat(fd, "")
	l.dirs[st.Ino] = implied()
	return err
}

// link makes base a second name of target, of whichever layer that is.
func (l *Layers) link(at int, base, target string) error {
	name, err := inroot.Clean(target)
	if err != nil {
		return err
	}
	from, fromBase, err := l.dir.Parent(name, nil)
	if err != nil {
		return fmt.Errorf("link to %q: %w", target, err)
	}
	defer unix.Close(from)
	if err := unix.Linkat(from, fromBase, at, base, 0); err != nil {
		return fmt.Errorf("link to %q: %w", target, err)
	}
	return nil
}
