package erofs

import "syscall"

// encode writes the inode and what stands with it to its place in the index.
func (n *node) encode(b []byte, number uint32) {
	d := &inode{File: n.file, number: number, links: n.links, xattrs: n.xattrs}
	end := n.at + int64(inodeSize+len(n.xattrs))
	switch n.file.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		n.store(b, d, end, encodeDir(n.names))
	case syscall.S_IFLNK:
		n.store(b, d, end, n.link)
	case syscall.S_IFREG:
		n.regular(b, d, end)
	case syscall.S_IFCHR, syscall.S_IFBLK:
		d.data = n.file.device()
	}
	d.appendTo(b[n.at:n.at])
}

// store writes content that stands in the index.
func (n *node) store(b []byte, d *inode, end int64, content []byte) {
	d.size = int64(len(content))
	if n.inline() {
		d.layout = flatInline
		copy(b[end:], content)
		return
	}
	d.data = uint32(n.data)
	copy(b[n.data*BlockSize:], content)
}

func (n *node) regular(b []byte, d *inode, end int64) {
	d.size = n.place.Size
	if !n.place.compressed() {
		d.data = uint32(n.base + n.place.At)
		return
	}
	d.layout = compressedFull
	d.data = uint32(n.place.blocks())
	at := up(end, mapEntry)
	le.PutUint16(b[at+4:], adviseBigCluster)
	n.clusters(b[at+mapHeader:])
}

// clusters writes where each block of the content is, compressed or not.
func (n *node) clusters(b []byte) {
	block := n.base + n.place.At
	for i, packed := range n.place.Extents {
		count := blocksOf(min(extentSize, n.place.Size-int64(i)*extentSize))
		for j := range count {
			entry := b[:mapEntry]
			b = b[mapEntry:]
			switch {
			case packed == 0:
				le.PutUint16(entry, clusterPlain)
				le.PutUint32(entry[4:], uint32(block+j))
			case j == 0:
				le.PutUint16(entry, clusterHead)
				le.PutUint32(entry[4:], uint32(block))
			default:
				back := uint16(j)
				if j == 1 {
					back = countFlag | uint16(packed)
				}
				le.PutUint16(entry, clusterNonhead)
				le.PutUint16(entry[4:], back)
				le.PutUint16(entry[6:], uint16(count-j))
			}
		}
		if packed == 0 {
			block += count
		}
		block += int64(packed)
	}
}
