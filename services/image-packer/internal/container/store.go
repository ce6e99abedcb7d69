package container

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// store holds files by name: a directory, or an archive of one.
type store interface {
	open(name string) (blob, error)
	io.Closer
}

// blob is an open file of a store.
type blob struct {
	io.Reader
	io.Closer
	size int64
}

// maxText bounds what is read as JSON.
const maxText = 16 << 20

// text returns a small file.
func text(s store, name string) ([]byte, error) {
	b, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if b.size > maxText {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, b.size, maxText)
	}
	return io.ReadAll(b)
}

// decode reads a small file of JSON into v.
func decode(s store, name string, v any) error {
	data, err := text(s, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// folder is a store whose links lead nowhere else.
type folder struct{ *os.Root }

func openFolder(dir string) (store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return folder{root}, nil
}

func (d folder) open(name string) (blob, error) {
	f, err := d.Open(name)
	if err != nil {
		return blob{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	if err != nil {
		return blob{}, errors.Join(err, f.Close())
	}
	return blob{f, f, info.Size()}, nil
}

// archive is a store in a tar.
type archive struct {
	*os.File
	members map[string]member
}

// member is a file at a place of the tar, or another name of one.
type member struct {
	start, size int64
	link        string
}

// openArchive lists a tar. One that is compressed is put, plain, into a file of scratch that has no name.
func openArchive(file, scratch string) (_ store, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if f, err = unwrapped(f, scratch); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	a := &archive{f, make(map[string]member)}
	if err := a.list(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", file, err), f.Close())
	}
	return a, nil
}

// unwrapped returns f at its beginning when it is plain, else what it holds; f is closed then.
func unwrapped(f *os.File, scratch string) (_ *os.File, err error) {
	plain, compressed, err := unpacked(f)
	if err == nil && !compressed {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !compressed {
		return f, nil
	}
	defer func() { err = errors.Join(err, plain.Close(), f.Close()) }()
	fd, err := unix.Open(scratch, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "make a file in", Path: scratch, Err: err}
	}
	to := os.NewFile(uintptr(fd), f.Name())
	if _, err = io.Copy(to, plain); err == nil {
		_, err = to.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, to.Close())
	}
	return to, nil
}

// list notes where each file is.
func (a *archive) list() error {
	tr := tar.NewReader(a.File)
	for {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(hdr.Name)
		switch hdr.Typeflag {
		case tar.TypeReg:
			start, err := a.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			a.members[name] = member{start: start, size: hdr.Size}
		case tar.TypeLink:
			a.members[name] = member{link: path.Clean(hdr.Linkname)}
		case tar.TypeSymlink:
			a.members[name] = member{link: path.Join(path.Dir(name), hdr.Linkname)}
		}
	}
}

func (a *archive) open(name string) (blob, error) {
	m, ok := a.members[path.Clean(name)]
	for range 8 {
		if !ok || m.link == "" {
			break
		}
		m, ok = a.members[m.link]
	}
	if !ok || m.link != "" {
		return blob{}, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
	}
	return blob{io.NewSectionReader(a.File, m.start, m.size), io.NopCloser(nil), m.size}, nil
}

// maxWindow is what zstd(1) reads without being told.
const maxWindow = 128 << 20

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	// zstdSkippable is how a skippable frame begins, but for the first four bits.
	zstdSkippable = []byte{0x2a, 0x4d, 0x18}
	strange       = map[string][]byte{"bzip2": []byte("BZh"), "xz": {0xfd, '7', 'z', 'X', 'Z', 0}}
)

// unpacked returns what r holds when it is compressed as gzip or zstd, else the same. To close it leaves r open.
func unpacked(r io.Reader) (plain io.ReadCloser, compressed bool, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	head, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(in)
		return z, true, err
	case bytes.HasPrefix(head, zstdMagic), len(head) > 3 && head[0]>>4 == 5 && bytes.HasPrefix(head[1:], zstdSkippable):
		z, err := zstd.NewReader(in, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, true, err
		}
		return z.IOReadCloser(), true, nil
	}
	for name, magic := range strange {
		if bytes.HasPrefix(head, magic) {
			return nil, true, fmt.Errorf("it is compressed as %s: want gzip, zstd or none", name)
		}
	}
	return io.NopCloser(in), false, nil
}
