// Package erofs writes compressed images of the read-only file system EROFS, in segments that do not depend on each other.
//
// A data segment holds the content of some files, the inodes of small ones with it, and no address: where it stands in
// an image changes nothing in it. The segment that comes first in an image, the index, holds the superblock, the
// directories and all other inodes, and names every address. The format is that of Linux 5.13 and newer with LZ4:
// Documentation/filesystems/erofs.rst, and fs/erofs/erofs_fs.h there for the fields.
package erofs

import (
	"encoding/binary"
	"errors"
)

// BlockSize is the unit of addresses, in bytes.
const BlockSize = 4096

// extentSize is how many bytes of a file are compressed together: a read of any of them unpacks all.
const extentSize = 128 << 10

const (
	extentBlocks = extentSize / BlockSize

	magic      = 0xE0F5E1E2
	superAt    = 1024
	superSize  = 128
	slotSize   = 32 // an inode's number is its address in these
	inodeSize  = 64 // of an extended inode
	direntSize = 12

	compatMtime        = 0x2
	incompatZeroPad    = 0x1 // compressed data stands at the end of its blocks
	incompatBigCluster = 0x2 // more than a block is compressed together; the algorithms' settings follow the superblock

	maxDistance = 65535 // of LZ4
)

// How an inode's content is stored.
const (
	flatPlain      = 0
	compressedFull = 1
	flatInline     = 2
)

// Kinds of logical clusters, each a block of a compressed file.
const (
	clusterPlain   = 0
	clusterHead    = 1
	clusterNonhead = 2
	// countFlag marks the number of compressed blocks, in the cluster after a head.
	countFlag = 1 << 11

	adviseBigCluster = 0x2
	mapHeader        = 16
	mapEntry         = 8
)

var errFull = errors.New("an image has more than 16 TiB")

var le = binary.LittleEndian

// blocksOf returns how many blocks hold n bytes.
func blocksOf(n int64) int64 { return (n + BlockSize - 1) / BlockSize }

// up rounds n up to a multiple of to.
func up(n, to int64) int64 { return (n + to - 1) / to * to }

// inode is what stands on the disk at the beginning of a file's inode.
type inode struct {
	File
	layout int
	size   int64
	// data is the first block, the count of compressed blocks, or the device.
	data   uint32
	number uint32
	links  uint32
	xattrs []byte
}

// appendTo appends the inode with its attributes.
func (n *inode) appendTo(b []byte) []byte {
	count := 0
	if len(n.xattrs) > 0 {
		count = (len(n.xattrs)-xattrHeader)/4 + 1
	}
	b = le.AppendUint16(b, uint16(1|n.layout<<1))
	b = le.AppendUint16(b, uint16(count))
	b = le.AppendUint16(b, uint16(n.Mode))
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, uint64(n.size))
	b = le.AppendUint32(b, n.data)
	b = le.AppendUint32(b, n.number)
	b = le.AppendUint32(b, n.UID)
	b = le.AppendUint32(b, n.GID)
	seconds, nanos := n.Mtime/1e9, n.Mtime%1e9
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	b = le.AppendUint64(b, uint64(seconds))
	b = le.AppendUint32(b, uint32(nanos))
	b = le.AppendUint32(b, n.links)
	b = append(b, make([]byte, 16)...)
	return append(b, n.xattrs...)
}

// File is what an image says of a file apart from its name and content.
type File struct {
	// Mode as stat(2) has it, with the type.
	Mode     uint32
	UID, GID uint32
	// Mtime in nanoseconds since 1970.
	Mtime int64
	// Major and Minor of a device.
	Major, Minor uint32
	// Xattrs by their whole names.
	Xattrs map[string][]byte
}

// device returns the number of a device as Linux encodes it in 32 bits.
func (f *File) device() uint32 { return f.Minor&0xff | f.Major<<8 | (f.Minor&^0xff)<<12 }
