package initrd

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
)

// archive writes the stage as a compressed cpio in the newc format, all owned by root and without times, so that the
// same files make the same bytes.
func (b *builder) archive(ctx context.Context) error {
	out := &counter{w: b.Out}
	packed, name, err := b.compressor(out)
	if err != nil {
		return err
	}
	b.report.Compression = name
	plain := &counter{w: packed}
	if err := b.records(ctx, cpio.Newc.Writer(plain)); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if err := packed.Close(); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	b.report.Size, b.report.Unpacked = out.n, plain.n
	return nil
}

// window is how far back the compressor looks, in bytes: the kernel needs as much memory while it unpacks.
const window = 32 << 20

// compressor returns a zstd, or a gzip for kernels that were built without the former.
func (b *builder) compressor(w io.Writer) (io.WriteCloser, string, error) {
	if b.unpacksZstd() {
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
		return z, "zstd", err
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	return z, "gzip", err
}

// unpacksZstd goes by the kernel's configuration, or by its age where there is none: zstd came with 5.9.
func (b *builder) unpacksZstd() bool {
	for _, p := range []string{"boot/config-" + b.version, "lib/modules/" + b.version + "/config"} {
		if config, err := b.image.ReadFile(p); err == nil {
			return strings.Contains("\n"+string(config), "\nCONFIG_RD_ZSTD=y\n")
		}
	}
	return kernel.Compare(b.version, "5.9") >= 0
}

func (b *builder) records(ctx context.Context, w cpio.RecordWriter) error {
	ino := uint64(0)
	write := func(r cpio.Record) error {
		ino++
		r.Ino, r.NLink = ino, 1
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
		return write(r)
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

type counter struct {
	w io.Writer
	n int64
}

// Write counts what it passes on.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
