package treetest_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/treetest"
)

// TestEachSpoilIsFound copies a tree with cp(1), where nothing differs, and makes one thing wrong at a time.
func TestEachSpoilIsFound(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	copyTree := func(from, to string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "cp", "-a", "--sparse=always", from, to).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
	}
	first := t.TempDir()
	treetest.Fill(t, first)
	copyTree(first, good)
	if diff := append(treetest.Differences(t, first, good), treetest.Holes(t, first, good)...); len(diff) > 0 {
		t.Fatalf("copies differ: %q", diff)
	}
	for i, s := range append(treetest.Spoils, treetest.SpoiledHole) {
		hole := i == len(treetest.Spoils)
		bad := filepath.Join(dir, "bad")
		copyTree(good, bad)
		if err := s.Do(bad); err != nil {
			t.Fatalf("%s: %v", s.What, err)
		}
		find := treetest.Differences
		if hole {
			find = treetest.Holes
		}
		if found := find(t, good, bad); len(found) == 0 {
			t.Errorf("%s is not found", s.What)
		}
		if err := exec.CommandContext(t.Context(), "rm", "-r", bad).Run(); err != nil {
			t.Fatal(err)
		}
	}
}
