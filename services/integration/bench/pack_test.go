package bench

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// content returns the files of a tree.
func content(t *testing.T, tree string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(tree, path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTreesAreTheSameAndGrowByChangedCopies(t *testing.T) {
	from := t.TempDir()
	for name, size := range map[string]int{"big": 100_000, "small": 1000} {
		if err := os.WriteFile(filepath.Join(from, name), bytes.Repeat([]byte(name), size/len(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var trees []map[string]string
	for range 2 {
		tree := filepath.Join(t.TempDir(), "tree")
		files, size, err := growTree(t.Context(), from, tree, 250_000)
		if err != nil {
			t.Fatal(err)
		}
		if n, bytes, err := countTree(tree); err != nil || n != files || bytes != size || size < 250_000 {
			t.Errorf("%d files with %d bytes are there, told of %d with %d, %v", n, bytes, files, size, err)
		}
		trees = append(trees, content(t, tree))
		before := content(t, tree)
		if err := change(tree, 1); err != nil {
			t.Fatal(err)
		}
		different := 0
		for name, data := range content(t, tree) {
			if before[name] != data {
				different++
			}
			if len(before[name]) != len(data) {
				t.Errorf("%s has another size", name)
			}
		}
		if different != 1 {
			t.Errorf("%d files were changed, not one", different)
		}
	}
	if len(trees[0]) == 0 || len(trees[0]) != len(trees[1]) {
		t.Fatalf("%d and %d files", len(trees[0]), len(trees[1]))
	}
	for name, data := range trees[0] {
		if trees[1][name] != data {
			t.Errorf("%s is not the same twice", name)
		}
	}
	if trees[0]["usr00/big"] == trees[0]["usr01/big"] {
		t.Error("copies are the same")
	}
}

func TestAMissingProgramIsNamed(t *testing.T) {
	c := contestant{name: "nosuch", version: "luna-no-such-program --version"}
	if err := c.look(t.Context()); err == nil {
		t.Error("not missed")
	}
}
