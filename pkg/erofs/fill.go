package erofs

import (
	"cmp"
	"slices"
)

const slots = BlockSize / slotSize

// fill divides inodes over blocks so that little room is lost: the largest first, each into the block where it leaves
// the least. The same inodes are always divided alike.
func fill(all []small) [][]small {
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b small) int { return cmp.Compare(len(b.bytes), len(a.bytes)) })
	var blocks [][]small
	var open [slots + 1][]int // the blocks with so many free slots
	for _, s := range order {
		need := int(up(int64(len(s.bytes)), slotSize) / slotSize)
		free := need
		for free <= slots && len(open[free]) == 0 {
			free++
		}
		if free > slots {
			free = slots
			open[free] = append(open[free], len(blocks))
			blocks = append(blocks, nil)
		}
		last := len(open[free]) - 1
		at := open[free][last]
		open[free] = open[free][:last]
		blocks[at] = append(blocks[at], s)
		open[free-need] = append(open[free-need], at)
	}
	return blocks
}
