// Package release turns a directory tree into content-addressed segments with a manifest, and back into a tree.
package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Format is the manifest format that this package writes and reads.
const Format = 1

// MaxManifest is the largest manifest that is read, in bytes.
const MaxManifest = 64 << 20

// Manifest lists what a release consists of. The digest of its encoded bytes names the release.
type Manifest struct {
	Format int `json:"format"`
	// Kind is what the segments are.
	Kind Kind `json:"kind,omitempty"`
	// PieceLength of the release's torrent in bytes: a power of two, 16 KiB or more.
	PieceLength   int64  `json:"piece_length"`
	KernelVersion string `json:"kernel_version"`
	// Root describes the root directory itself, which no segment holds.
	Root Root `json:"root"`
	// Unpacked is the space that all files take when unpacked, in bytes: whole 4 KiB blocks, holes left out.
	Unpacked int64 `json:"unpacked"`
	// Segments in torrent order.
	Segments []Segment `json:"segments"`
	// Hardlinks are the links whose target lies in another segment. They are made after all segments.
	Hardlinks []Hardlink `json:"hardlinks"`

	pieces map[Digest][]byte
}

// Kind is what the segments of a release are.
type Kind string

const (
	// Tree is of zstd streams of tars, which are unpacked one by one.
	Tree Kind = ""
	// Image is of parts which, one behind the other, are an EROFS image. Segment 0 has its superblock.
	Image Kind = "erofs"
)

// Root is the metadata of the root directory.
type Root struct {
	// Mode holds the permission bits with setuid (04000), setgid (02000) and sticky (01000).
	Mode uint32 `json:"mode"`
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
	// Mtime in nanoseconds since 1970.
	Mtime  int64             `json:"mtime"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
}

// Segment is one stored file, padded to whole pieces: a zstd stream of a tar, or a part of an image.
type Segment struct {
	// Digest of the stored file.
	Digest Digest `json:"digest"`
	// Size of the stored file in bytes, a multiple of the piece length.
	Size int64 `json:"size"`
	// Unpacked is this segment's part of the manifest's.
	Unpacked int64 `json:"unpacked"`
	// Files counts the entries of the tar, or the files whose content the part has.
	Files int `json:"files"`
}

// Hardlink is a second name of a file. Both paths are relative to the root, with slashes.
type Hardlink struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Encode returns the manifest's bytes. The same manifest has the same bytes.
func (m *Manifest) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return append(data, '\n'), nil
}

// ParseManifest reads what Encode wrote. It refuses unknown fields and everything that Validate refuses,
// so its result is safe to act on once the digest of data has been checked.
func ParseManifest(data []byte) (*Manifest, error) {
	if len(data) > MaxManifest {
		return nil, fmt.Errorf("manifest has %d bytes, more than %d", len(data), MaxManifest)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	m := new(Manifest)
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("parse manifest: text after its end")
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	return m, nil
}

// Files counts the files of all segments.
func (m *Manifest) Files() int {
	n := 0
	for _, s := range m.Segments {
		n += s.Files
	}
	return n
}

// Size returns the bytes of all stored segments.
func (m *Manifest) Size() int64 {
	var n int64
	for _, s := range m.Segments {
		n += s.Size
	}
	return n
}

// Validate returns the first thing that is wrong with the manifest.
func (m *Manifest) Validate() error {
	switch {
	case m.Format != Format:
		return fmt.Errorf("format %d, this program knows %d", m.Format, Format)
	case m.Kind != Tree && m.Kind != Image:
		return fmt.Errorf("kind %q is not known", m.Kind)
	case m.PieceLength < MinPieceLength || m.PieceLength > MaxPieceLength || m.PieceLength&(m.PieceLength-1) != 0:
		return fmt.Errorf("piece length %d is not a power of two from %d to %d", m.PieceLength, MinPieceLength, MaxPieceLength)
	case m.Root.Mode&^0o7777 != 0:
		return fmt.Errorf("root mode %#o", m.Root.Mode)
	case m.Root.UID < 0 || m.Root.GID < 0:
		return fmt.Errorf("root owner %d:%d", m.Root.UID, m.Root.GID)
	}
	if err := m.validateSegments(); err != nil {
		return err
	}
	for _, l := range m.Hardlinks {
		if !validName(l.Path) || !validName(l.Target) {
			return fmt.Errorf("hard link %q to %q: not a path inside the root", l.Path, l.Target)
		}
	}
	return nil
}

func (m *Manifest) validateSegments() error {
	seen := make(map[Digest]bool, len(m.Segments))
	for i, s := range m.Segments {
		if _, err := ParseDigest(string(s.Digest)); err != nil {
			return fmt.Errorf("segment %d: %w", i, err)
		}
		if s.Size <= 0 || s.Size > maxSegment || s.Size%m.PieceLength != 0 {
			return fmt.Errorf("segment %d: size %d is not a whole number of pieces", i, s.Size)
		}
		if s.Unpacked < 0 || s.Files < 0 {
			return fmt.Errorf("segment %d: negative count", i)
		}
		if seen[s.Digest] {
			return fmt.Errorf("segment %d: %s is there twice", i, s.Digest)
		}
		seen[s.Digest] = true
	}
	return nil
}

const maxSegment = 1 << 50

// validName tells whether p names something below the root: relative, slashes, no "." or "..".
func validName(p string) bool { return p != "." && fs.ValidPath(p) }
