package initrd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/u-root/u-root/pkg/cpio"
)

// archive writes the stage as a compressed cpio in the newc format, all owned by root and without times, so that the
// same files make the same bytes.
func (b *builder) archive(ctx context.Context) error {
	out := &counter{w: b.Out}
	packed, name, err := b.compressor(ctx, out)
	if err != nil {
		return err
	}
	b.report.Compression = name
	plain := &counter{w: packed}
	if b.Progress != nil {
		total, err := b.bytes()
		if err != nil {
			return errors.Join(err, packed.Close())
		}
		plain.tell = func(n int64) { b.Progress(min(n, total), total) }
	}
	// A compressor that has ended says why when it is closed.
	if err := errors.Join(b.records(ctx, cpio.Newc.Writer(plain)), packed.Close()); err != nil {
		return fmt.Errorf("write archive with %s: %w", name, err)
	}
	b.report.Size, b.report.Unpacked = out.n, plain.n
	return nil
}

func (b *builder) records(ctx context.Context, w cpio.RecordWriter) error {
	n := numbers{of: make(map[uint64]uint64), seen: make(map[uint64]uint64)}
	write := func(r cpio.Record) error {
		r.Ino, r.NLink = n.next(), 1
		return w.WriteRecord(r)
	}
	err := filepath.WalkDir(b.Root.String(), func(host string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := record(b.Root.String(), host, d)
		if err != nil {
			return err
		}
		if r.Mode&cpio.S_IFMT != cpio.S_IFREG {
			return write(r)
		}
		r, err = n.link(r, host)
		if err != nil {
			return err
		}
		return w.WriteRecord(r)
	})
	if err != nil {
		return err
	}
	// The kernel opens the console before anybody can mount a devtmpfs.
	for _, node := range []cpio.Record{cpio.CharDev("dev/console", 0o600, 5, 1), cpio.CharDev("dev/kmsg", 0o600, 1, 11), cpio.CharDev("dev/null", 0o666, 1, 3)} {
		if err := write(node); err != nil {
			return err
		}
	}
	return w.WriteRecord(cpio.TrailerRecord)
}

// numbers gives files the numbers by which the archive knows the names of one file.
type numbers struct {
	last uint64
	// of a file of the stage, by its inode: the number, and how many of its names were seen.
	of, seen map[uint64]uint64
}

func (n *numbers) next() uint64 { n.last++; return n.last }

// link gives a file its number. Of the names of one file the last one carries the content.
func (n *numbers) link(r cpio.Record, host string) (cpio.Record, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(host, &st); err != nil {
		return r, err
	}
	if n.of[st.Ino] == 0 {
		n.of[st.Ino] = n.next()
	}
	n.seen[st.Ino]++
	r.Ino, r.NLink = n.of[st.Ino], uint64(st.Nlink)
	if n.seen[st.Ino] < r.NLink {
		if f, ok := r.ReaderAt.(io.Closer); ok {
			if err := f.Close(); err != nil {
				return r, err
			}
		}
		r.ReaderAt, r.FileSize = nil, 0
	}
	return r, nil
}

func record(root, host string, d fs.DirEntry) (cpio.Record, error) {
	name, err := filepath.Rel(root, host)
	if err != nil {
		return cpio.Record{}, err
	}
	info, err := d.Info()
	if err != nil {
		return cpio.Record{}, err
	}
	mode := uint64(info.Mode().Perm())
	switch {
	case info.IsDir():
		if info.Mode()&fs.ModeSticky != 0 {
			mode |= cpio.S_ISVTX
		}
		if name == "." {
			mode = 0o755
		}
		return cpio.Directory(name, mode), nil
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(host)
		return cpio.Symlink(name, target), err
	case info.Mode().IsRegular():
		// The writer closes the file.
		f, err := os.Open(host)
		return cpio.Record{ReaderAt: f, Info: cpio.Info{Name: name, Mode: cpio.S_IFREG | mode, FileSize: uint64(info.Size())}}, err
	}
	return cpio.Record{}, fmt.Errorf("%s is neither file, directory nor link", name)
}

// bytes returns how many bytes the files in the stage have.
func (b *builder) bytes() (total int64, err error) {
	err = filepath.WalkDir(b.Root.String(), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

type counter struct {
	w io.Writer
	n int64
	// tell, when not nil, hears of every write how many bytes there were.
	tell func(n int64)
}

// Write counts what it passes on.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if c.tell != nil {
		c.tell(c.n)
	}
	return n, err
}
