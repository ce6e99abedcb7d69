package release

import (
	"archive/tar"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/luna-hpc/luna/pkg/erofs"
)

// skippable is the magic number of the zstd frame that pads a segment (RFC 8878, 3.1.2).
const skippable = 0x184D2A50

const pieceHash = sha1.Size

// draft is a segment that has its content but not yet its padding.
type draft struct {
	file     *os.File
	sum      hash.Hash
	raw      int64
	unpacked int64
	files    int
}

// tempPattern names files of unfinished packs.
const tempPattern = ".pack-*"

func newDraft(payload string) (*draft, error) {
	f, err := os.CreateTemp(payload, tempPattern)
	if err != nil {
		return nil, fmt.Errorf("make a segment: %w", err)
	}
	return &draft{file: f, sum: sha256.New()}, nil
}

// Write appends to the stored file.
func (d *draft) Write(p []byte) (int, error) {
	n, err := d.file.Write(p)
	d.sum.Write(p[:n])
	d.raw += int64(n)
	return n, err
}

// ClearAbandoned removes from the PayloadDir of packs and from the directory of their indexes what was unfinished when they
// were killed. No pack may run there meanwhile.
func ClearAbandoned(payload, indexes string) error {
	segments, err := filepath.Glob(filepath.Join(payload, tempPattern))
	torn, wrong := filepath.Glob(filepath.Join(indexes, "*"+tempIndex))
	err = errors.Join(err, wrong)
	for _, f := range append(segments, torn...) {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// discard removes the file unless keep has given it its name.
func (d *draft) discard() {
	d.file.Close()
	os.Remove(d.file.Name())
}

// compress packs the entries into the draft.
func (d *draft) compress(ctx context.Context, tree string, entries []entry, level int, read func(int64)) error {
	enc, err := zstd.NewWriter(d, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)))
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	d.unpacked, err = readTree(ctx, tree, entries, tar.NewWriter(enc), read)
	d.files = len(entries)
	return errors.Join(err, enc.Close())
}

// image packs the entries into the draft as a segment of an image.
func (d *draft) image(ctx context.Context, tree string, entries []entry, read func(int64)) (files []imageFile, err error) {
	to := &imageSink{Data: erofs.NewData(d), entries: entries}
	d.unpacked, err = readTree(ctx, tree, entries, to, read)
	d.files = len(entries)
	if err != nil || d.raw == 0 {
		return to.files, err
	}
	// Two files with the same content would make the same segment, and each has its place in the image.
	mark := make([]byte, erofs.BlockSize)
	copy(mark, DigestOf([]byte(entries[0].name)))
	_, err = d.Write(mark)
	return to.files, err
}

// copyStored fills the draft with a stored segment without its padding.
func (d *draft) copyStored(payload string, s *stored) error {
	f, err := os.Open(filepath.Join(payload, s.Digest.Hex()))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(d, f, s.Raw); err != nil {
		return fmt.Errorf("copy segment %s: %w", s.Digest, err)
	}
	d.unpacked, d.files = s.Unpacked, s.Files
	return nil
}

// keep pads the draft to whole pieces, hashes it and gives it its name in the payload directory. A segment that is
// there already stays untouched.
func (d *draft) keep(payload string, kind Kind, pieceLength int64) (*stored, error) {
	s := &stored{Raw: d.raw, PieceLength: pieceLength}
	if err := d.pad(kind, padding(kind, d.raw, pieceLength)); err != nil {
		return nil, fmt.Errorf("pad segment: %w", err)
	}
	s.Segment = Segment{Digest: DigestSum(d.sum), Size: d.raw, Unpacked: d.unpacked, Files: d.files}
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var err error
	if s.Pieces, err = hashPieces(d.file, s.Size, pieceLength); err != nil {
		return nil, err
	}
	path := filepath.Join(payload, s.Digest.Hex())
	if isStored(path, s.Size) {
		return s, nil
	}
	if err := d.file.Chmod(0o644); err != nil {
		return nil, err
	}
	if err := d.file.Sync(); err != nil {
		return nil, fmt.Errorf("store segment: %w", err)
	}
	if err := os.Rename(d.file.Name(), path); err != nil {
		return nil, fmt.Errorf("store segment: %w", err)
	}
	return s, nil
}

const frameHeader = 8

// padding returns the length in bytes of what fills raw bytes to whole pieces: zeros in an image, else a skippable
// frame. There always is one, so that every segment has the same form.
func padding(kind Kind, raw, pieceLength int64) int64 {
	if kind == Image {
		return (pieceLength - raw%pieceLength) % pieceLength
	}
	n := pieceLength - raw%pieceLength
	if n < frameHeader {
		n += pieceLength
	}
	return n
}

func (d *draft) pad(kind Kind, n int64) error {
	if kind == Image {
		_, err := io.CopyN(d, zeros{}, n)
		return err
	}
	head := binary.LittleEndian.AppendUint32(nil, skippable)
	head = binary.LittleEndian.AppendUint32(head, uint32(n-frameHeader))
	if _, err := d.Write(head); err != nil {
		return err
	}
	_, err := io.CopyN(d, zeros{}, n-frameHeader)
	return err
}

type zeros struct{}

// Read fills p with zeros.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func isStored(path string, size int64) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Size() == size
}
