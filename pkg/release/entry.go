package release

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// Describe returns the tar header of base in the open directory at, which has the state st, under a name: with all
// extended attributes, and the target of a symbolic link. What vanished is fs.ErrNotExist.
func Describe(at int, base, name string, st State) (*tar.Header, error) {
	hdr := header(&entry{name: name, stat: st})
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		target, err := readlinkAt(at, base)
		if err != nil {
			return nil, err
		}
		hdr.Linkname = target
	}
	path := beneath.Path(at, base)
	err := addXattrs(hdr, func(b []byte) (int, error) { return unix.Llistxattr(path, b) },
		func(attr string, b []byte) (int, error) { return unix.Lgetxattr(path, attr, b) })
	return hdr, err
}

// Maker makes single entries of tars below a directory, as an Unpacker does those of segments. It needs root's rights,
// and /proc mounted. It is for one goroutine.
type Maker struct{ w segmentWriter }

// NewMaker returns a Maker below dir, a directory that exists.
func NewMaker(dir string) (*Maker, error) {
	m := &Maker{segmentWriter{unpacker: NewUnpacker(dir, &Manifest{}), refused: map[string]int{}, buf: make([]byte, 64*blockSize)}}
	var err error
	if m.w.dir, err = beneath.Open(dir); err != nil {
		return nil, err
	}
	if m.w.second, err = beneath.Open(dir); err != nil {
		return nil, errors.Join(err, m.w.dir.Close())
	}
	return m, nil
}

// Make makes what hdr describes; what is in the way, but for a directory, is replaced. A directory gets its owner, mode,
// attributes and times by SetDir, when all is in it.
func (m *Maker) Make(ctx context.Context, hdr *tar.Header, content io.Reader) error {
	m.w.dirs = nil
	return m.w.entry(ctx, hdr, content)
}

// SetDir gives a directory what its header says, and takes attributes away that it does not name. A label of SELinux
// stays when the header has none: nobody may take one away.
func (m *Maker) SetDir(hdr *tar.Header) error {
	fd, err := m.openDir(strings.TrimSuffix(hdr.Name, "/"))
	if err != nil {
		return &os.PathError{Op: "open", Path: hdr.Name, Err: err}
	}
	defer unix.Close(fd)
	want := Xattrs(hdr)
	have, err := readXattrs(func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		func(attr string, b []byte) (int, error) { return unix.Fgetxattr(fd, attr, b) })
	if err != nil {
		return fmt.Errorf("%s: %w", hdr.Name, err)
	}
	for attr := range have {
		if _, ok := want[attr]; ok || attr == SELinuxLabel {
			continue
		}
		if err := dropACL(attr, func(attr string) error { return unix.Fremovexattr(fd, attr) }); err != nil {
			return fmt.Errorf("%s: %w", hdr.Name, err)
		}
	}
	meta := Root{Mode: uint32(hdr.Mode) & 0o7777, UID: hdr.Uid, GID: hdr.Gid, Mtime: hdr.ModTime.UnixNano(), Xattrs: want}
	if err := setDir(fd, meta, m.w.refused); err != nil {
		return fmt.Errorf("%s: %w", hdr.Name, err)
	}
	return nil
}

// openDir opens a directory below the Maker's, "." being that one.
func (m *Maker) openDir(name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if name == "." {
		return unix.Open(m.w.unpacker.root+"/.", flags, 0)
	}
	at, base, err := m.w.dir.Parent(name, false)
	if err != nil {
		return -1, err
	}
	return unix.Openat(at, base, flags, 0)
}

// SELinuxLabel is the attribute that holds a file's SELinux context.
const SELinuxLabel = "security.selinux"

// Refused returns the names of the extended attributes that the file system does not know, each with the number of
// files that go without it.
func (m *Maker) Refused() map[string]int { return maps.Clone(m.w.refused) }

// Close closes the directory.
func (m *Maker) Close() error { return errors.Join(m.w.dir.Close(), m.w.second.Close()) }

// DescribeOpen returns the tar header of an open regular file or directory, which has the state st, under a name.
func DescribeOpen(fd int, name string, st State) (*tar.Header, error) {
	hdr := header(&entry{name: name, stat: st})
	err := addXattrs(hdr, func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		func(attr string, b []byte) (int, error) { return unix.Fgetxattr(fd, attr, b) })
	return hdr, err
}
