package erofs

import (
	"cmp"
	"slices"
)

// dirent is a name in a directory.
type dirent struct {
	name string
	node *node
}

// direntTypes are the numbers of file types, by the four bits of the mode.
var direntTypes = [16]byte{1: 5, 2: 3, 4: 2, 6: 4, 8: 1, 10: 7, 12: 6}

// cutDir divides sorted names over blocks, and returns the number of names in each and the directory's size.
func cutDir(names []dirent) (counts []int, size int64) {
	used, count := 0, 0
	for _, e := range names {
		need := direntSize + len(e.name)
		if used+need > BlockSize {
			counts = append(counts, count)
			used, count = 0, 0
		}
		used += need
		count++
	}
	return append(counts, count), int64(len(counts))*BlockSize + int64(used)
}

// encodeDir returns a directory's content. The numbers of its files must be known.
func encodeDir(names []dirent) []byte {
	var b []byte
	counts, _ := cutDir(names)
	for i, count := range counts {
		start, at := len(b), direntSize*count
		for _, e := range names[:count] {
			b = le.AppendUint64(b, e.node.number())
			b = le.AppendUint16(b, uint16(at))
			b = append(b, direntTypes[e.node.file.Mode>>12&0xf], 0)
			at += len(e.name)
		}
		for _, e := range names[:count] {
			b = append(b, e.name...)
		}
		if i < len(counts)-1 {
			b = append(b, make([]byte, BlockSize-(len(b)-start))...)
		}
		names = names[count:]
	}
	return b
}

func sortNames(names []dirent) {
	slices.SortFunc(names, func(a, b dirent) int { return cmp.Compare(a.name, b.name) })
}
