package sysroot

import (
	"fmt"
	"path"
	"strings"
)

// maxLinks is how many links Linux follows in one path.
const maxLinks = 40

// resolve returns name without links, as a process in the tree would see it:
// an absolute link starts at the tree's root, and ".." stops there. What does
// not exist is taken as it stands.
func (t *Tree) resolve(name string) (string, error) {
	done, rest, links := "", name, 0
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			done = strings.TrimPrefix(path.Dir("/"+done), "/")
			continue
		}
		next := path.Join(done, part)
		target, err := t.root.Readlink(next)
		if err != nil {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many symbolic links", name)
		}
		if strings.HasPrefix(target, "/") {
			done = ""
		}
		rest = target + "/" + rest
	}
	if done == "" {
		return ".", nil
	}
	return done, nil
}
