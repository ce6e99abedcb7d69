// Package graft makes a tree like another one, of another machine or of a release, moving only what differs.
package graft

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
)

// Fact is what a tree has under one name.
type Fact struct {
	// Header tells all but the content. Its name is relative to the root, "." for the root, without a slash at its end;
	// its size is the content's. A later name of a file is a link to the first, with the file's own metadata.
	Header *tar.Header
	// Mount says that something is mounted there: nothing below is told.
	Mount bool
	// Gone says that the name must not be there.
	Gone bool
	// Sum is the SHA-256 of the content where it is known.
	Sum []byte
	// Was is the type that the name had before, where that is known.
	Was byte

	state release.State
	// holds says that below are names that were left out.
	holds bool
}

// Name returns the fact's name.
func (f *Fact) Name() string { return f.Header.Name }

func (f *Fact) isDir() bool     { return f.Header.Typeflag == tar.TypeDir }
func (f *Fact) isLink() bool    { return f.Header.Typeflag == tar.TypeLink }
func (f *Fact) isRegular() bool { return f.Header.Typeflag == tar.TypeReg }

// differs returns in what a name is not as it should be. Files of the same size and time have the same content, unless
// the sums of both are known.
func (f *Fact) differs(have *Fact) (aspects []string) {
	a, b := f.Header, have.Header
	kind := b.Typeflag
	if have.isLink() { // what it is, whichever of its names is the first
		kind = kindOf(have.state.Mode)
	}
	for _, x := range []struct {
		name string
		same bool
	}{
		{"type", a.Typeflag == kind},
		{"content", !f.isRegular() || f.sameContent(have)},
		{"target", a.Typeflag != tar.TypeSymlink || a.Linkname == b.Linkname},
		{"device", a.Devmajor == b.Devmajor && a.Devminor == b.Devminor},
		{"mode", a.Typeflag == tar.TypeSymlink || a.Mode == b.Mode},
		{"owner", a.Uid == b.Uid && a.Gid == b.Gid},
		{"time", a.ModTime.Equal(b.ModTime)},
		{"attributes", sameXattrs(release.Xattrs(a), release.Xattrs(b))},
	} {
		if !x.same {
			aspects = append(aspects, x.name)
		}
	}
	return aspects
}

func (f *Fact) sameContent(have *Fact) bool {
	if f.Sum != nil && have.Sum != nil && !bytes.Equal(f.Sum, have.Sum) {
		return false
	}
	return f.Header.Size == have.Header.Size && f.Header.ModTime.Equal(have.Header.ModTime)
}

func kindOf(mode uint32) byte {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return tar.TypeDir
	case unix.S_IFLNK:
		return tar.TypeSymlink
	case unix.S_IFCHR:
		return tar.TypeChar
	case unix.S_IFBLK:
		return tar.TypeBlock
	case unix.S_IFIFO:
		return tar.TypeFifo
	}
	return tar.TypeReg
}

// sameXattrs compares attributes. Where no SELinux label is wanted any will do: a kernel with SELinux gives every file
// one.
func sameXattrs(want, have map[string][]byte) bool {
	n := len(have)
	if _, extra := have[release.SELinuxLabel]; extra && want[release.SELinuxLabel] == nil {
		n--
	}
	if n != len(want) {
		return false
	}
	for name, value := range want {
		if other, ok := have[name]; !ok || !bytes.Equal(value, other) {
			return false
		}
	}
	return true
}

// Keywords of a listing's PAX records: what a header without content cannot say.
const (
	paxSize  = "LUNA.size"
	paxMount = "LUNA.mount"
	paxGone  = "LUNA.gone"
	paxSum   = "LUNA.sum"
	paxWas   = "LUNA.was"
)

// Listing writes facts, as a tar without content.
type Listing struct {
	enc *zstd.Encoder
	tw  *tar.Writer
}

// NewListing returns a Listing that is written to w.
func NewListing(w io.Writer) (*Listing, error) {
	enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	return &Listing{enc, tar.NewWriter(enc)}, nil
}

// Add writes a fact.
func (l *Listing) Add(f *Fact) error {
	hdr := *f.Header
	hdr.Format = tar.FormatPAX // one that was read from a release may have needed no records, and says so
	hdr.PAXRecords = map[string]string{}
	for k, v := range f.Header.PAXRecords {
		hdr.PAXRecords[k] = v
	}
	if hdr.Size > 0 {
		hdr.PAXRecords[paxSize] = strconv.FormatInt(hdr.Size, 10)
		hdr.Size = 0
	}
	for key, set := range map[string]bool{paxMount: f.Mount, paxGone: f.Gone} {
		if set {
			hdr.PAXRecords[key] = "1"
		}
	}
	if f.Sum != nil {
		hdr.PAXRecords[paxSum] = hex.EncodeToString(f.Sum)
	}
	if f.Was != 0 {
		hdr.PAXRecords[paxWas] = string(f.Was)
	}
	if f.isDir() {
		hdr.Name += "/"
	}
	return l.tw.WriteHeader(&hdr)
}

// Close ends the listing.
func (l *Listing) Close() error { return errors.Join(l.tw.Close(), l.enc.Close()) }

// ReadListing reads what a Listing wrote, to its end. Names that do not stay below the root are an error, and more of them
// than 2 GiB of memory hold.
func ReadListing(r io.Reader) ([]*Fact, error) { return readListing(r, mostListing) }

func readListing(r io.Reader, most int64) (facts []*Fact, err error) {
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	left := most
	for tr := tar.NewReader(dec); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return facts, skip(dec)
		}
		if err != nil {
			return nil, fmt.Errorf("read a listing: %w", err)
		}
		if left -= weight(hdr); left < 0 {
			return nil, tooMuch("a listing", most)
		}
		f, err := readFact(hdr)
		if err != nil {
			return nil, err
		}
		facts = append(facts, f)
	}
}

func readFact(hdr *tar.Header) (f *Fact, err error) {
	f = &Fact{Header: hdr, Mount: hdr.PAXRecords[paxMount] != "", Gone: hdr.PAXRecords[paxGone] != ""}
	if size := hdr.PAXRecords[paxSize]; size != "" {
		if hdr.Size, err = strconv.ParseInt(size, 10, 64); err != nil || hdr.Size < 0 {
			return nil, fmt.Errorf("listing: %q has %q bytes", hdr.Name, size)
		}
	}
	if sum := hdr.PAXRecords[paxSum]; sum != "" {
		if f.Sum, err = hex.DecodeString(sum); err != nil {
			return nil, fmt.Errorf("listing: %q: %w", hdr.Name, err)
		}
	}
	if was := hdr.PAXRecords[paxWas]; was != "" {
		f.Was = was[0]
	}
	if hdr.Typeflag == tar.TypeDir {
		hdr.Name = strings.TrimSuffix(hdr.Name, "/")
	}
	if !inside(hdr.Name) || f.isLink() && !inside(hdr.Linkname) {
		return nil, fmt.Errorf("listing: %q does not stay below the root", hdr.Name)
	}
	return f, nil
}

// inside tells whether a name stays below the root; it need not be UTF-8, as fs.ValidPath wants.
func inside(name string) bool { return fs.ValidPath(strings.ToValidUTF8(name, "?")) }
