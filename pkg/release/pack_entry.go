package release

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// entryReader reads the entries of a tree into one tar.
type entryReader struct {
	tree     string
	dir      *beneath.Dir
	to       sink
	buf      []byte
	unpacked int64
	read     func(int64)
}

// readTree writes the entries to a sink, closes it, and returns the space that they take unpacked. read is told the
// bytes of files as they are read.
func readTree(ctx context.Context, tree string, entries []entry, to sink, read func(int64)) (unpacked int64, err error) {
	dir, err := beneath.Open(tree)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	r := &entryReader{tree: tree, dir: dir, to: to, buf: make([]byte, 64*blockSize), read: read}
	if err := r.entries(ctx, entries); err != nil {
		return 0, err
	}
	if err := r.to.Close(); err != nil {
		return 0, fmt.Errorf("pack %s: %w", tree, err)
	}
	return r.unpacked, nil
}

func (r *entryReader) entries(ctx context.Context, entries []entry) error {
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.entry(ctx, &entries[i]); err != nil {
			return fmt.Errorf("pack %s: %w", path.Join(r.tree, entries[i].name), err)
		}
	}
	return nil
}

var errChanged = errors.New("changed while it was packed")

func (r *entryReader) entry(ctx context.Context, e *entry) error {
	at, base, err := r.dir.Parent(e.name, false)
	if err != nil {
		return gone(err)
	}
	if e.target == "" && e.stat.isRegular() {
		return r.regular(ctx, e, at, base)
	}
	hdr := header(e)
	if e.target == "" {
		if e.stat.Mode&unix.S_IFMT == unix.S_IFLNK {
			if hdr.Linkname, err = readlinkAt(at, base); err != nil {
				return gone(err)
			}
		}
		link := beneath.Path(at, base)
		err = addXattrs(hdr, func(b []byte) (int, error) { return unix.Llistxattr(link, b) },
			func(name string, b []byte) (int, error) { return unix.Lgetxattr(link, name, b) })
		if err != nil {
			return gone(err)
		}
	}
	if now, err := Stat(at, base); err != nil {
		return gone(err)
	} else if now != e.stat {
		return errChanged
	}
	return r.to.WriteHeader(hdr)
}

// regular writes a file. Its state before and after must be what the walk saw.
func (r *entryReader) regular(ctx context.Context, e *entry, at int, base string) error {
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return gone(err)
	}
	f := os.NewFile(uintptr(fd), base)
	defer f.Close()
	if err := unchanged(fd, e.stat); err != nil {
		return err
	}
	hdr := header(e)
	err = addXattrs(hdr, func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		func(name string, b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) })
	if err != nil {
		return err
	}
	if err := r.to.WriteHeader(hdr); err != nil {
		return err
	}
	if err := r.content(ctx, f, hdr.Size); err != nil {
		return err
	}
	return unchanged(fd, e.stat)
}

func (r *entryReader) content(ctx context.Context, f io.Reader, size int64) error {
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(f, r.buf[:min(size-off, int64(len(r.buf)))])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errChanged
		}
		if err != nil {
			return err
		}
		for block := r.buf[:n]; len(block) > 0; block = block[min(blockSize, len(block)):] {
			if head := block[:min(blockSize, len(block))]; !isZero(head) {
				r.unpacked += blockSize
			}
		}
		if _, err := r.to.Write(r.buf[:n]); err != nil {
			return err
		}
		off += int64(n)
		r.read(int64(n))
	}
	return nil
}

func unchanged(fd int, want State) error {
	now, err := Stat(fd, "")
	if err != nil {
		return err
	}
	if now != want {
		return errChanged
	}
	return nil
}

func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("vanished or was replaced: %w", err)
	}
	return err
}

func readlinkAt(at int, base string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(at, base, buf)
	return string(buf[:max(n, 0)]), err
}

// header returns the entry's tar header without extended attributes.
func header(e *entry) *tar.Header {
	hdr := &tar.Header{
		Format: tar.FormatPAX, Name: e.name,
		Mode: int64(e.stat.Mode & 0o7777), Uid: int(e.stat.UID), Gid: int(e.stat.GID),
		ModTime: time.Unix(0, e.stat.Mtime),
	}
	if e.target != "" {
		hdr.Typeflag, hdr.Linkname = tar.TypeLink, e.target
		return hdr
	}
	switch e.stat.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		hdr.Typeflag, hdr.Name = tar.TypeDir, e.name+"/"
	case unix.S_IFLNK:
		hdr.Typeflag = tar.TypeSymlink
	case unix.S_IFIFO:
		hdr.Typeflag = tar.TypeFifo
	case unix.S_IFCHR:
		hdr.Typeflag = tar.TypeChar
	case unix.S_IFBLK:
		hdr.Typeflag = tar.TypeBlock
	default:
		hdr.Typeflag = tar.TypeReg
		if !e.blank {
			hdr.Size = e.stat.Size
		}
	}
	if hdr.Typeflag == tar.TypeChar || hdr.Typeflag == tar.TypeBlock {
		hdr.Devmajor, hdr.Devminor = int64(unix.Major(e.stat.Rdev)), int64(unix.Minor(e.stat.Rdev))
	}
	return hdr
}
