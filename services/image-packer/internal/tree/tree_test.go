package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

func newTree(t *testing.T) tree.Tree {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr/bin", "etc/alternatives"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/bin/mawk"), []byte("awk"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, target := range map[string]string{
		"bin": "usr/bin", "usr/bin/awk": "/etc/alternatives/awk", "etc/alternatives/awk": "/usr/bin/mawk",
		"up": "../../../../usr", "loop": "loop", "out": "/nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	return tree.At(root)
}

func TestTrace(t *testing.T) {
	tr := newTree(t)
	for _, c := range []struct {
		name, real string
		links      []tree.Link
	}{
		{"usr/bin/mawk", "usr/bin/mawk", nil},
		{"/bin/awk", "usr/bin/mawk", []tree.Link{{"bin", "usr/bin"}, {"usr/bin/awk", "/etc/alternatives/awk"}, {"etc/alternatives/awk", "/usr/bin/mawk"}}},
		{"up/bin/mawk", "usr/bin/mawk", []tree.Link{{"up", "../../../../usr"}}},
		{"../../..", ".", nil},
		{"usr/bin/", "usr/bin", nil},
	} {
		real, links, err := tr.Trace(c.name)
		if err != nil || real != c.real {
			t.Errorf("Trace(%q) = %q, %v, want %q", c.name, real, err, c.real)
		}
		if diff := cmp.Diff(c.links, links); diff != "" {
			t.Errorf("links to %q (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestTraceFails(t *testing.T) {
	tr := newTree(t)
	for name, missing := range map[string]bool{"usr/none": true, "out": true, "usr/bin/mawk/x": true, "loop": false} {
		_, _, err := tr.Trace(name)
		if err == nil || errors.Is(err, fs.ErrNotExist) != missing {
			t.Errorf("Trace(%q): %v, want missing %v", name, err, missing)
		}
	}
}

func TestGlob(t *testing.T) {
	tr := newTree(t)
	got, err := tr.Glob("bin", "*awk")
	if diff := cmp.Diff([]string{"bin/awk", "bin/mawk"}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := tr.Glob("none", "*"); err != nil || got != nil {
		t.Errorf("Glob of a missing directory: %v, %v", got, err)
	}
}
