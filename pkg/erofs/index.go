package erofs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"syscall"
)

// Index makes the first segment of an image. Directories are added before what is in them.
type Index struct {
	nodes []*node
	names map[string]*node
	size  int64 // bytes
}

// node is a file of the image.
type node struct {
	file    File
	xattrs  []byte
	segment int // of the content; -1 for none
	place   *Place
	link    []byte
	names   []dirent
	up      *node
	links   uint32

	at   int64 // of the inode in the index, in bytes
	data int64 // first block of a directory that does not stand in its inode
	// base is the first block of the content's segment.
	base int64
}

// number returns the inode's.
func (n *node) number() uint64 {
	if n.inside() {
		return uint64(n.base*BlockSize+n.place.At) / slotSize
	}
	return uint64(n.at) / slotSize
}

// inside tells whether the inode stands in a data segment.
func (n *node) inside() bool { return n.place != nil && n.place.Inode }

func (n *node) isDir() bool { return n.file.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// NewIndex returns an index of an empty root directory.
func NewIndex(root File) (*Index, error) {
	x := &Index{names: map[string]*node{}}
	root.Mode = root.Mode&0o7777 | syscall.S_IFDIR
	n, err := x.add(root)
	if err != nil {
		return nil, err
	}
	n.up, n.links = n, 2
	x.names["."] = n
	return x, nil
}

func (x *Index) add(f File) (*node, error) {
	attrs, err := encodeXattrs(f.Xattrs)
	if err != nil {
		return nil, err
	}
	n := &node{file: f, xattrs: attrs, segment: -1}
	x.nodes = append(x.nodes, n)
	return n, nil
}

// Add adds a file by its path from the root. A regular file's content is at a place in the data segment with that
// number, counted from 0; link is where a symbolic link leads.
func (x *Index) Add(name string, f File, segment int, place *Place, link []byte) error {
	parent, ok := x.names[path.Dir(name)]
	if !ok || !parent.isDir() {
		return fmt.Errorf("%s comes before its directory", name)
	}
	n, err := x.add(f)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	n.segment, n.place, n.link, n.links = segment, place, link, 1
	if n.isDir() {
		n.up, n.links = parent, 2
		parent.links++
	}
	return x.enter(name, parent, n)
}

// Link adds another name of a file that is there.
func (x *Index) Link(name, target string) error {
	parent, n := x.names[path.Dir(name)], x.names[target]
	if parent == nil || n == nil || n.isDir() {
		return fmt.Errorf("%s is a link to %s, which is not there", name, target)
	}
	n.links++
	if n.inside() {
		return fmt.Errorf("%s: %s has another name than was known", name, target)
	}
	return x.enter(name, parent, n)
}

func (x *Index) enter(name string, parent, n *node) error {
	if x.names[name] != nil {
		return fmt.Errorf("%s is there twice", name)
	}
	x.names[name] = n
	parent.names = append(parent.names, dirent{path.Base(name), n})
	return nil
}

// Layout gives every inode its place and returns the bytes of the index. Nothing can be added afterwards.
func (x *Index) Layout() int64 {
	at := up(superAt+superSize+2+14, slotSize)
	for _, n := range x.nodes {
		if n.isDir() {
			n.names = append(n.names, dirent{".", n}, dirent{"..", n.up})
			sortNames(n.names)
		}
		if n.inside() {
			continue
		}
		// What an inode holds itself must stand in its block.
		if room := BlockSize - at%BlockSize; room < inodeSize || n.inline() && n.whole() > room {
			at = up(at, BlockSize)
		}
		n.at = at
		at = up(at+n.whole(), slotSize)
	}
	blocks := blocksOf(at)
	for _, n := range x.nodes {
		if own := n.own(); own > 0 && !n.inline() {
			n.data = blocks
			blocks += blocksOf(own)
		}
	}
	x.size = blocks * BlockSize
	return x.size
}

// own returns the bytes of content that stand in the index: those of directories and symbolic links.
func (n *node) own() int64 {
	if n.isDir() {
		_, size := cutDir(n.names)
		return size
	}
	return int64(len(n.link))
}

// inline tells whether the inode holds the content.
func (n *node) inline() bool {
	own := n.own()
	return own > 0 && int64(inodeSize+len(n.xattrs))+own <= BlockSize
}

// whole returns the bytes of the inode with all that stands with it.
func (n *node) whole() int64 {
	size := int64(inodeSize + len(n.xattrs))
	switch {
	case n.inline():
		return size + n.own()
	case n.place != nil && n.place.compressed():
		return up(size, mapEntry) + mapHeader + blocksOf(n.place.Size)*mapEntry
	}
	return size
}

// Encode returns the index of an image whose data segments begin at these blocks and which has so many in all.
func (x *Index) Encode(bases []int64, blocks int64) ([]byte, error) {
	if x.size == 0 {
		return nil, errors.New("an index is laid out before it is encoded")
	}
	if blocks >= 1<<32 {
		return nil, errFull
	}
	b := make([]byte, x.size)
	for _, n := range x.nodes {
		if n.segment >= 0 {
			n.base = bases[n.segment]
		}
	}
	for i, n := range x.nodes {
		if !n.inside() {
			n.encode(b, uint32(i+1))
		}
	}
	x.super(b, blocks)
	return b, nil
}

// super writes the superblock, whose UUID follows from all else.
func (x *Index) super(b []byte, blocks int64) {
	s := b[superAt:]
	le.PutUint32(s[0:], magic)
	le.PutUint32(s[8:], compatMtime)
	s[12] = 12 // a block is 1 << 12
	le.PutUint16(s[14:], uint16(x.nodes[0].number()))
	le.PutUint64(s[16:], uint64(len(x.nodes)))
	le.PutUint32(s[36:], uint32(blocks))
	le.PutUint32(s[80:], incompatZeroPad|incompatBigCluster)
	le.PutUint16(s[84:], 1) // LZ4
	le.PutUint16(s[superSize:], 14)
	le.PutUint16(s[superSize+2:], maxDistance)
	le.PutUint16(s[superSize+4:], extentBlocks)
	sum := sha256.Sum256(b)
	copy(s[48:64], sum[:])
}
