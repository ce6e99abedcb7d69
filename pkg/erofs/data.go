package erofs

import (
	"errors"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"
)

// Place is where the content of a file lies in its segment.
type Place struct {
	// Inode tells that At is the inode's place in bytes: it stands in the segment and holds the content itself. Else At is
	// the first block of the content.
	Inode bool  `json:"inode,omitempty"`
	At    int64 `json:"at,omitempty"`
	// Size of the content in bytes.
	Size int64 `json:"size,omitempty"`
	// Extents has the number of blocks that each extent was compressed to; 0 is one that is stored as it is.
	Extents []byte `json:"extents,omitempty"`
}

// compressed tells whether any of the content is.
func (p Place) compressed() bool {
	for _, n := range p.Extents {
		if n > 0 {
			return true
		}
	}
	return false
}

// blocks returns how many blocks the content takes.
func (p Place) blocks() (sum int64) {
	for i, n := range p.Extents {
		if n == 0 {
			sum += blocksOf(min(extentSize, p.Size-int64(i)*extentSize))
		}
		sum += int64(n)
	}
	return sum
}

// Data writes a data segment: Begin, then the content by Write, for each file. It belongs to one goroutine.
type Data struct {
	w      io.Writer
	blocks int64
	small  []small
	quick  lz4.Compressor
	packer lz4.CompressorHC
	// What of the file has come and is not written yet, and what is still to come.
	in   []byte
	left int64
	// into is the place of the file that comes, nil for a small one.
	into  *Place
	out   []byte
	zeros [BlockSize]byte
}

// small is an inode that holds its file's content, and where to say its place.
type small struct {
	bytes []byte
	place *Place
}

// NewData returns a Data that writes to w.
func NewData(w io.Writer) *Data {
	return &Data{w: w, packer: lz4.CompressorHC{Level: searched}, in: make([]byte, 0, extentSize), out: make([]byte, lz4.CompressBlockBound(extentSize))}
}

// Begin begins a regular file of size bytes and returns the place of its content, which is right when Close has
// returned. A file that has several names is shared: its inode cannot stand in a segment.
func (d *Data) Begin(f File, shared bool, size int64) (*Place, error) {
	if d.left > 0 {
		return nil, errShort
	}
	attrs, err := encodeXattrs(f.Xattrs)
	if err != nil {
		return nil, err
	}
	d.left = size
	if whole := inodeSize + int64(len(attrs)) + size; whole <= BlockSize && !shared {
		n := &inode{File: f, size: size, links: 1, xattrs: attrs, layout: layoutOf(size)}
		p := &Place{Inode: true, Size: size}
		d.into = nil
		d.small = append(d.small, small{n.appendTo(make([]byte, 0, whole)), p})
		return p, nil
	}
	d.into = &Place{At: d.blocks, Size: size}
	return d.into, nil
}

// Write takes some of the content of the file that was begun last.
func (d *Data) Write(p []byte) (int, error) {
	if int64(len(p)) > d.left {
		return 0, errLong
	}
	d.left -= int64(len(p))
	if d.into == nil {
		s := &d.small[len(d.small)-1]
		s.bytes = append(s.bytes, p...)
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), extentSize-len(d.in))
		d.in = append(d.in, rest[:n]...)
		rest = rest[n:]
		if len(d.in) < extentSize && (d.left > 0 || len(rest) > 0) {
			continue
		}
		blocks, err := d.extent(d.in)
		if err != nil {
			return 0, err
		}
		d.into.Extents = append(d.into.Extents, blocks)
		d.in = d.in[:0]
	}
	return len(p), nil
}

var (
	errShort = errors.New("a file has less content than was said")
	errLong  = errors.New("a file has more content than was said")
)

// layoutOf returns how an inode holds its own content.
func layoutOf(size int64) int {
	if size == 0 {
		return flatPlain
	}
	return flatInline
}

// extent writes some of a file and returns the number of blocks that it was compressed to, 0 when it was not. One of a
// single block never is: Linux takes its size from the next one, which there may not be.
func (d *Data) extent(in []byte) (byte, error) {
	whole := blocksOf(int64(len(in)))
	if whole > 1 {
		n, err := d.compress(in)
		if err != nil {
			return 0, fmt.Errorf("compress: %w", err)
		}
		if blocks := blocksOf(int64(n)); n > 0 && blocks < whole {
			return byte(blocks), d.write(d.zeros[:blocks*BlockSize-int64(n)], d.out[:n])
		}
	}
	return 0, d.write(in, d.zeros[:whole*BlockSize-int64(len(in))])
}

// searched is how many earlier places the compressor looks at for each; four times as many make 1 % less.
const searched = 16

// compress fills out and returns how much of it, 0 when the content does not compress. The long search goes wrong on
// what repeats itself, such as holes, and the quick one does well there.
func (d *Data) compress(in []byte) (int, error) {
	n, err := d.quick.CompressBlock(in, d.out)
	if err != nil || n == 0 || n <= BlockSize {
		return n, err
	}
	return d.packer.CompressBlock(in, d.out)
}

// write writes whole blocks.
func (d *Data) write(parts ...[]byte) error {
	var sum int64
	for _, p := range parts {
		if _, err := d.w.Write(p); err != nil {
			return err
		}
		sum += int64(len(p))
	}
	d.blocks += sum / BlockSize
	return nil
}

// Close writes the small inodes.
func (d *Data) Close() error {
	if d.left > 0 {
		return errShort
	}
	for _, b := range fill(d.small) {
		base := d.blocks * BlockSize
		at := int64(0)
		for _, s := range b {
			s.place.At = base + at
			padding := up(int64(len(s.bytes)), slotSize) - int64(len(s.bytes))
			if _, err := d.w.Write(append(s.bytes, d.zeros[:padding]...)); err != nil {
				return err
			}
			at += int64(len(s.bytes)) + padding
		}
		if _, err := d.w.Write(d.zeros[:BlockSize-at]); err != nil {
			return err
		}
		d.blocks++
	}
	d.small = nil
	return nil
}
