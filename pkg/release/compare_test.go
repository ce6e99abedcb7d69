package release_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/pkg/release"
)

func TestCompare(t *testing.T) {
	source, payload := newTree(t), t.TempDir()
	grow(t, source)
	old := pack(t, release.Options{Tree: source, PayloadDir: payload})
	if same, err := release.Compare(t.Context(), payload, old, old); err != nil || len(same) != 0 {
		t.Errorf("a release differs from itself: %v, %v", same, err)
	}

	tr := tree{t, source}
	tr.file("usr/share/d07/f007", []byte("changed"))
	tr.file("usr/share/d07/fresh", []byte("12345"))
	must(t, os.Remove(tr.path("usr/share/d08/f008")))
	must(t, os.Chmod(tr.path("usr/share/d09/f009"), 0o600))
	must(t, os.Remove(tr.path("etc/absolute")))
	must(t, os.Symlink("/etc/group", tr.path("etc/absolute")))
	must(t, os.Lchown(source, 7, 8))
	lost := sizeOf(t, payload, old, "usr/share/d08/f008")

	got, err := release.Compare(t.Context(), payload, old, pack(t, release.Options{Tree: source, PayloadDir: payload}))
	must(t, err)
	want := []release.Difference{
		{Name: ".", Old: true, New: true, Aspects: []string{"owner"}},
		{Name: "etc", Old: true, New: true, Aspects: []string{"time"}},
		{Name: "etc/absolute", Old: true, New: true, Aspects: []string{"target", "time"}},
		{Name: "usr/share/d07", Old: true, New: true, Aspects: []string{"time"}},
		{Name: "usr/share/d07/f007", Old: true, New: true, Aspects: []string{"content", "time"}},
		{Name: "usr/share/d07/fresh", New: true, Bytes: 5},
		{Name: "usr/share/d08", Old: true, New: true, Aspects: []string{"time"}},
		{Name: "usr/share/d08/f008", Old: true, Bytes: -lost},
		{Name: "usr/share/d09/f009", Old: true, New: true, Aspects: []string{"mode"}},
	}
	for i := range got {
		if got[i].Name == "usr/share/d07/f007" {
			got[i].Bytes = 0
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}

// sizeOf unpacks a release to look at one of its files.
func sizeOf(t *testing.T, payload string, m *release.Manifest, name string) int64 {
	t.Helper()
	root := t.TempDir()
	unpack(t, m, payload, root)
	info, err := os.Stat(filepath.Join(root, name))
	must(t, err)
	return info.Size()
}
