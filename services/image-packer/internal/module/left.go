package module

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// near are directories of the kernel's tree that hold what some other cluster's nodes may boot from.
var near = []string{"block", "drivers/ata", "drivers/block", "drivers/infiniband", "drivers/md", "drivers/message", "drivers/mmc", "drivers/net",
	"drivers/nvme", "drivers/scsi", "drivers/ufs", "fs"}

// Describe says in words what is left out: names of the modules that some machine may yet boot by, and for everything
// else how many modules of which part of the kernel.
func (c Choice) Describe() (names, parts []string) {
	count := make(map[string]int)
	for _, file := range c.Left {
		part := partOf(file)
		if slices.Contains(near, part) {
			names = append(names, Name(file))
		} else {
			count[part]++
		}
	}
	for part, n := range count {
		parts = append(parts, fmt.Sprintf("%s (%d)", part, n))
	}
	slices.Sort(names)
	slices.Sort(parts)
	return names, parts
}

// partOf returns the part of the kernel that a module belongs to: drivers/gpu, drivers/net/wireless, fs/nls, sound. The
// drivers of cards are not told apart by their makers.
func partOf(file string) string {
	dir := path.Dir(file)
	if place, ok := strings.CutPrefix(dir, "kernel/"); ok {
		dir = place
	} else if place, ok := placeOf(file); ok {
		dir = path.Dir(place)
	}
	words := strings.Split(dir, "/")
	switch {
	case words[0] == "drivers" && len(words) > 2 && places[strings.Join(words[:2], "/")]:
		if sub := strings.Join(words[:3], "/"); refused(sub) {
			return sub
		}
		return strings.Join(words[:2], "/")
	case words[0] == "drivers" && len(words) > 1:
		return strings.Join(words[:2], "/")
	case dir == "fs/nls":
		return dir
	}
	return words[0]
}

func refused(dir string) bool {
	in, ok := places[dir]
	return ok && !in
}
