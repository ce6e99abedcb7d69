package graft

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
	"github.com/luna-hpc/luna/pkg/release"
)

// attempts is how often a file is read that changes meanwhile.
const attempts = 3

// What a header says of a file that is in use.
const (
	paxUnsteady = "LUNA.unsteady" // it changed each time; what came is how it was between
	paxShort    = "LUNA.short"    // it became shorter each time: what came is nothing
)

// contents writes files of a tree that may be in use.
type contents struct {
	dir *beneath.Dir
	tw  *tar.Writer
	buf []byte
}

// sendContents writes the regular files with these names as a compressed tar. One that changes while it is read is
// written again; one that is none any more is gone.
func sendContents(ctx context.Context, root string, names []string, w io.Writer) (err error) {
	dir, err := beneath.Open(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	enc, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return err
	}
	defer enc.Reset(nil) // waits until nothing is written to w any more, also after an error
	c := &contents{dir: dir, tw: tar.NewWriter(enc), buf: make([]byte, 256<<10)}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.file(name); err != nil {
			return fmt.Errorf("send %s: %w", name, err)
		}
	}
	return errors.Join(c.tw.Close(), enc.Close())
}

func (c *contents) file(name string) error {
	for n := range attempts {
		steady, err := c.attempt(name, n == attempts-1)
		if vanished(err) {
			return c.flag(name, paxGone)
		}
		if err != nil || steady {
			return err
		}
	}
	return nil
}

// flag writes a header that only says something of a name.
func (c *contents) flag(name, key string) error {
	return c.tw.WriteHeader(&tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: name, PAXRecords: map[string]string{key: "1"}})
}

func (c *contents) attempt(name string, last bool) (steady bool, err error) {
	f, err := c.dir.File(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	fd := int(f.Fd())
	before, err := release.Stat(fd, "")
	if err != nil {
		return false, err
	}
	if before.Mode&unix.S_IFMT != unix.S_IFREG {
		return true, c.flag(name, paxGone)
	}
	hdr, err := release.DescribeOpen(fd, name, before)
	if err != nil {
		return false, err
	}
	if err := c.tw.WriteHeader(hdr); err != nil {
		return false, err
	}
	short, err := c.copy(f, hdr.Size)
	if err != nil {
		return false, err
	}
	now, err := release.Stat(fd, "")
	switch {
	case err != nil:
		return false, err
	case last && short:
		return true, c.flag(name, paxShort)
	case last && now != before:
		return true, c.flag(name, paxUnsteady)
	}
	return !short && now == before, nil
}

// copy writes size bytes: zeros when the file ends before.
func (c *contents) copy(f io.Reader, size int64) (short bool, err error) {
	n, err := io.CopyBuffer(c.tw, onlyReader{io.LimitReader(f, size)}, c.buf)
	if err != nil || n == size {
		return false, err
	}
	clear(c.buf)
	for n < size {
		m, err := c.tw.Write(c.buf[:min(size-n, int64(len(c.buf)))])
		if n += int64(m); err != nil {
			return true, err
		}
	}
	return true, nil
}

// onlyReader hides all but Read, so that the copy goes through one buffer.
type onlyReader struct{ io.Reader }

// errShort is a file that cannot be read whole.
var errShort = errors.New("became shorter each time it was read")

// receiveContents stages what sendContents wrote, and returns what changed while it was read.
func (g *Graft) receiveContents(ctx context.Context, r io.Reader, got func(n int64)) (unsteady []string, err error) {
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	wanted := map[string]int{} // each file comes as often as it is read, and is flagged once
	for _, name := range g.plan.Fetch {
		wanted[name] = attempts + 2
	}
	for tr := tar.NewReader(dec); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return unsteady, g.complete()
		}
		switch {
		case err != nil:
			return nil, err
		case wanted[hdr.Name] == 0:
			continue
		}
		if wanted[hdr.Name]--; wanted[hdr.Name] == 0 {
			return nil, fmt.Errorf("the other side sends %s more than %d times, the limit", hdr.Name, attempts+1)
		}
		switch {
		case hdr.PAXRecords[paxGone] != "":
			g.dropped[hdr.Name] = true
		case hdr.PAXRecords[paxShort] != "":
			return nil, fmt.Errorf("%s %w", hdr.Name, errShort)
		case hdr.PAXRecords[paxUnsteady] != "":
			unsteady = append(unsteady, hdr.Name)
		case hdr.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%s came as a %q", hdr.Name, hdr.Typeflag)
		default:
			if err := g.stage(ctx, hdr.Name, hdr, counted{tr, got}); err != nil {
				return nil, fmt.Errorf("make %s: %w", hdr.Name, err)
			}
		}
	}
}

// complete is an error when a content did not come.
func (g *Graft) complete() error {
	for _, name := range g.plan.Fetch {
		if _, ok := g.staged[name]; !ok && !g.dropped[name] {
			return fmt.Errorf("the content of %s did not come", name)
		}
	}
	return nil
}

// counted tells what is read.
type counted struct {
	io.Reader
	got func(n int64)
}

// Read reads and tells.
func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.got(int64(n))
	return n, err
}

// maxName is longer than any path.
const maxName = 64 << 10

func writeNames(w io.Writer, names []string) error {
	b := bufio.NewWriter(w)
	for _, name := range names {
		if err := binary.Write(b, binary.BigEndian, uint32(len(name))); err != nil {
			return err
		}
		if _, err := b.WriteString(name); err != nil {
			return err
		}
	}
	return b.Flush()
}

func readNames(r io.Reader) (names []string, err error) {
	b := bufio.NewReader(r)
	for {
		var n uint32
		if err := binary.Read(b, binary.BigEndian, &n); errors.Is(err, io.EOF) {
			return names, nil
		} else if err != nil {
			return nil, err
		}
		if n > maxName {
			return nil, fmt.Errorf("a name of %d bytes", n)
		}
		name := make([]byte, n)
		if _, err := io.ReadFull(b, name); err != nil {
			return nil, err
		}
		if !inside(string(name)) {
			return nil, fmt.Errorf("%q does not stay below the root", name)
		}
		names = append(names, string(name))
	}
}
