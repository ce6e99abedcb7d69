package tree_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

func TestRecord(t *testing.T) {
	for name, c := range map[string]struct {
		change func(root string) error
		want   bool
	}{
		"nothing":        {func(string) error { return nil }, true},
		"file elsewhere": {func(root string) error { return os.WriteFile(filepath.Join(root, "usr/other"), nil, 0o644) }, true},
		"content": {func(root string) error {
			return os.WriteFile(filepath.Join(root, "usr/bin/mawk"), []byte("gawk"), 0o755)
		}, false},
		"mode":                  {func(root string) error { return os.Chmod(filepath.Join(root, "usr/bin/mawk"), 0o700) }, false},
		"gone":                  {func(root string) error { return os.Remove(filepath.Join(root, "usr/bin/mawk")) }, false},
		"came":                  {func(root string) error { return os.WriteFile(filepath.Join(root, "usr/bin/none"), nil, 0o755) }, false},
		"other link":            {func(root string) error { return relink(filepath.Join(root, "etc/alternatives/awk")) }, false},
		"came into a listed":    {func(root string) error { return os.WriteFile(filepath.Join(root, "etc/alternatives/vi"), nil, 0o755) }, false},
		"came in a new place":   {func(root string) error { return os.MkdirAll(filepath.Join(root, "usr/local/bin"), 0o755) }, false},
		"same directory, twice": {func(root string) error { return os.Chtimes(filepath.Join(root, "usr"), time.Time{}, time.Now()) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := newTree(t).String()
			rec := tree.Record{}
			tr := tree.At(root).Recording(rec)
			if !tr.IsFile("bin/awk") || tr.IsFile("usr/bin/none") || tr.IsFile("usr/local/bin/x") {
				t.Fatal("the tree is not what it should be")
			}
			if _, err := tr.ReadDir("etc/alternatives"); err != nil {
				t.Fatal(err)
			}
			if rec.Settled(root, time.Now().Add(-time.Hour)) || !rec.Settled(root, time.Now().Add(time.Hour)) {
				t.Error("files made now are settled an hour ago, or not in an hour")
			}
			if err := c.change(root); err != nil {
				t.Fatal(err)
			}
			if got := rec.Unchanged(root); got != c.want {
				t.Errorf("unchanged: %v, want %v", got, c.want)
			}
		})
	}
}

func relink(path string) error {
	return errors.Join(os.Remove(path), os.Symlink("/usr/bin/gawk", path))
}
