package release

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// blockSize is the unit in which holes are kept and unpacked bytes are counted.
const blockSize = 4096

var zeroBlock [blockSize]byte

// regular makes a file with its content, owner, mode, attributes and times.
func (w *segmentWriter) regular(ctx context.Context, at int, base string, hdr *tar.Header, content io.Reader) (err error) {
	var fd int
	err = replace(at, base, func() (err error) {
		fd, err = unix.Openat(at, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := w.content(ctx, f, hdr.Size, content); err != nil {
		return err
	}
	// The owner first: changing it takes away setuid and capabilities.
	if err := unix.Fchown(fd, hdr.Uid, hdr.Gid); err != nil {
		return err
	}
	if err := dropACL(accessACL, func(name string) error { return unix.Fremovexattr(fd, name) }); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, uint32(hdr.Mode)&0o7777); err != nil {
		return err
	}
	if err := setXattrs(hdr, w.refused, func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) }); err != nil {
		return err
	}
	return setTimes(at, base, hdr.ModTime.UnixNano())
}

// content copies size bytes into f, leaving blocks of zeros as holes. The file has its size first: XFS takes room
// beyond what is written at the end of a file, and later growth would make that data.
func (w *segmentWriter) content(ctx context.Context, f *os.File, size int64, content io.Reader) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(content, w.buf[:min(size-off, int64(len(w.buf)))])
		if err != nil {
			return err
		}
		if err := w.blocks(f, off, w.buf[:n]); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// blocks writes the runs of data that are not whole blocks of zeros.
func (w *segmentWriter) blocks(f *os.File, off int64, data []byte) error {
	for start := 0; start < len(data); {
		end := start
		for end < len(data) && !isZero(data[end:min(end+blockSize, len(data))]) {
			end = min(end+blockSize, len(data))
		}
		if end == start {
			start += blockSize
			continue
		}
		if _, err := f.WriteAt(data[start:end], off+int64(start)); err != nil {
			return err
		}
		space := spaceOf(end - start)
		w.bytes += space
		w.unpacker.bytes.Add(space)
		start = end
	}
	return nil
}

// isZero tells whether a block, or the end of one, holds only zeros.
func isZero(block []byte) bool { return bytes.Equal(block, zeroBlock[:len(block)]) }

// spaceOf rounds n up to whole blocks.
func spaceOf(n int) int64 { return int64(n+blockSize-1) / blockSize * blockSize }
