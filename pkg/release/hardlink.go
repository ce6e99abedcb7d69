package release

import (
	"fmt"
	"path"
	"unicode/utf8"
)

type inode struct{ dev, ino uint64 }

// markLinks sets the target of each entry whose file has an earlier name in the tree.
func markLinks(entries []entry) {
	first := make(map[inode]string)
	for i := range entries {
		e := &entries[i]
		if e.stat.isDir() || e.stat.Nlink < 2 || e.blank {
			continue
		}
		id := inode{e.stat.Dev, e.stat.Ino}
		if name, ok := first[id]; ok {
			e.target = name
		} else {
			first[id] = e.name
		}
	}
}

// crossLinks takes the links whose target lies in another segment out of the segments. Segments that become empty go.
func crossLinks(tree string, segments [][]entry) ([][]entry, []Hardlink, error) {
	links := []Hardlink{}
	kept := segments[:0]
	for _, seg := range segments {
		here := make(map[string]bool)
		var rest []entry
		for _, e := range seg {
			if e.target != "" && !here[e.target] {
				if !utf8.ValidString(e.name) || !utf8.ValidString(e.target) {
					return nil, nil, fmt.Errorf("%s and %s are hard links with names that are not UTF-8",
						path.Join(tree, e.target), path.Join(tree, e.name))
				}
				links = append(links, Hardlink{Path: e.name, Target: e.target})
				continue
			}
			if e.stat.Nlink > 1 {
				here[e.name] = true
			}
			rest = append(rest, e)
		}
		if len(rest) > 0 {
			kept = append(kept, rest)
		}
	}
	return kept, links, nil
}
