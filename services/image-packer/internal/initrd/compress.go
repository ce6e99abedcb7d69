package initrd

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
)

// window is how far back the compressor looks, as a power of two of bytes (32 MiB): the kernel needs as much memory while
// it unpacks.
const window = 25

// compressor returns what packs the archive into w, and its name: zstd, which kernels unpack ten times as fast as xz,
// else xz, else gzip, which all kernels know. The image's own zstd is asked first: it takes longer than the one in this
// program, and its archives are a tenth smaller, which every node gains at every boot.
func (b *builder) compressor(ctx context.Context, w io.Writer) (io.WriteCloser, string, error) {
	level := zstd.SpeedBestCompression
	if b.Quick {
		level = zstd.SpeedDefault
	}
	switch {
	case b.unpacks("ZSTD", "5.9") && b.starts("zstd") && !b.Quick:
		// Blocks of one window each are packed side by side; there are not many, and each takes 300 MB of memory.
		workers := min(runtime.GOMAXPROCS(0), 4)
		p, err := b.program(ctx, w, "zstd", "-19", "--long="+strconv.Itoa(window), "-B"+strconv.Itoa(1<<window), "-T"+strconv.Itoa(workers), "-c")
		return p, "zstd", err
	case b.unpacks("ZSTD", "5.9"):
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<window))
		return z, "zstd", err
	case b.unpacks("XZ", "2.6.38") && b.starts("xz"):
		p, err := b.program(ctx, w, "xz", "-6", "--check=crc32", "-T0", "-c")
		return p, "xz", err
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	return z, "gzip", err
}

// unpacks tells whether the kernel can unpack an initrd of that kind. It goes by the kernel's configuration, or by its
// age where there is none.
func (b *builder) unpacks(kind, since string) bool {
	for _, p := range []string{"boot/config-" + b.version, "lib/modules/" + b.version + "/config"} {
		if config, err := b.image.ReadFile(p); err == nil {
			return strings.Contains("\n"+string(config), "\nCONFIG_RD_"+kind+"=y\n")
		}
	}
	return kernel.Compare(b.version, since) >= 0
}

// starts tells whether a program is in the initrd and runs on this machine.
func (b *builder) starts(name string) bool { return b.report.Tried && b.path(name) != "" }

// program starts a program of the finished initrd, which packs what is written to it into w.
func (b *builder) program(ctx context.Context, w io.Writer, name string, args ...string) (io.WriteCloser, error) {
	p := &program{name: name, cmd: exec.CommandContext(ctx, "/"+b.path(name), args...)}
	p.cmd.Dir, p.cmd.Env = "/", environment
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: b.Root.String(), Credential: nobody}
	p.cmd.Stdout, p.cmd.Stderr = w, &p.said
	in, err := p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the image's %s: %w", name, err)
	}
	p.WriteCloser = in
	return p, nil
}

// program is a compressor of the image that runs.
type program struct {
	io.WriteCloser
	name string
	cmd  *exec.Cmd
	said bytes.Buffer
}

// Close waits until the program has packed everything.
func (p *program) Close() error {
	if err := errors.Join(p.WriteCloser.Close(), p.cmd.Wait()); err != nil {
		return fmt.Errorf("the image's %s: %w: %s", p.name, err, firstLine(p.said.Bytes()))
	}
	return nil
}
