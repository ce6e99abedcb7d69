package beneath_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// No name leads through a link, or out of the directory; a FIFO does not wait for its writer.
func TestNamesStayBelow(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	err := errors.Join(os.MkdirAll(filepath.Join(root, "a/b"), 0o755), os.WriteFile(filepath.Join(root, "a/b/file"), []byte("inside"), 0o644),
		os.WriteFile(filepath.Join(outside, "file"), []byte("outside"), 0o644), os.Symlink(outside, filepath.Join(root, "a/out")),
		os.Symlink("b/file", filepath.Join(root, "a/link")), unix.Mkfifo(filepath.Join(root, "a/fifo"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := beneath.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for name, want := range map[string]error{"a/b/file": nil, "a/fifo": nil, "a/link": unix.ELOOP, "a/out/file": unix.ENOTDIR, "a/none": unix.ENOENT} {
		f, err := dir.File(name)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if err != nil {
			continue
		}
		if data, err := io.ReadAll(f); name == "a/b/file" && (err != nil || string(data) != "inside") {
			t.Errorf("%s holds %q, %v", name, data, err)
		}
		f.Close()
	}
	for _, name := range []string{"", "/etc/passwd", "a/../a/b/file", "..", "a//b", "a/./b", "a\x00b"} {
		if _, err := dir.File(name); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
	if _, _, err := dir.Parent("a/out/new/file", true); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("made a directory behind a link: %v", err)
	}
	if at, base, err := dir.Parent("a/new/dirs/file", true); err != nil || base != "file" || at < 0 {
		t.Errorf("%q, %v", base, err)
	}
	if info, err := os.Stat(filepath.Join(root, "a/new/dirs")); err != nil || !info.IsDir() {
		t.Errorf("missing directories were not made: %v", err)
	}
}
