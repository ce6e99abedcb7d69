package library

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// configured returns the directories of etc/ld.so.conf and of what it includes.
func configured(t tree.Tree) ([]string, error) {
	var dirs []string
	seen := make(map[string]bool)
	var read func(name string) error
	read = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		data, err := t.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(line)
			switch {
			case len(words) == 0:
			case words[0] == "include" && len(words) == 2:
				pattern := words[1]
				if !path.IsAbs(pattern) {
					pattern = path.Join(path.Dir(name), pattern)
				}
				pattern = strings.TrimPrefix(pattern, "/")
				names, err := t.Glob(path.Dir(pattern), path.Base(pattern))
				if err != nil {
					return err
				}
				for _, n := range names {
					if err := read(n); err != nil {
						return err
					}
				}
			case path.IsAbs(words[0]):
				dirs = append(dirs, strings.TrimPrefix(words[0], "/"))
			}
		}
		return nil
	}
	return dirs, read("etc/ld.so.conf")
}
