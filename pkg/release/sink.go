package release

import (
	"archive/tar"
	"io"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/erofs"
)

// sink takes the entries of a tree, each with its content behind its header. *tar.Writer is one.
type sink interface {
	WriteHeader(*tar.Header) error
	io.Writer
	Close() error
}

// imageFile is what the index of an image needs of an entry and the tree is not asked again for.
type imageFile struct {
	Place  *erofs.Place      `json:"place,omitempty"`
	Link   []byte            `json:"link,omitempty"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
}

// imageSink makes a data segment of an EROFS image.
type imageSink struct {
	*erofs.Data
	entries []entry
	files   []imageFile
}

// WriteHeader begins the next entry.
func (s *imageSink) WriteHeader(hdr *tar.Header) (err error) {
	e := &s.entries[len(s.files)]
	f := imageFile{Xattrs: Xattrs(hdr)}
	switch {
	case hdr.Typeflag == tar.TypeReg:
		f.Place, err = s.Begin(fileOf(e, f.Xattrs), e.stat.Nlink > 1, hdr.Size)
	case hdr.Typeflag == tar.TypeSymlink:
		f.Link = []byte(hdr.Linkname)
	}
	s.files = append(s.files, f)
	return err
}

// fileOf returns what an image says of an entry.
func fileOf(e *entry, attrs map[string][]byte) erofs.File {
	return erofs.File{Mode: e.stat.Mode, UID: e.stat.UID, GID: e.stat.GID, Mtime: e.stat.Mtime, Xattrs: attrs,
		Major: unix.Major(e.stat.Rdev), Minor: unix.Minor(e.stat.Rdev)}
}
