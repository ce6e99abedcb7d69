package kernel_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

func newTree(t *testing.T, files ...string) tree.Tree {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		p := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tree.At(root)
}

func TestFind(t *testing.T) {
	tr := newTree(t,
		"boot/vmlinuz-6.1.0-9-amd64", "lib/modules/6.1.0-9-amd64/modules.dep",
		"boot/vmlinuz-6.1.0-50-amd64", "lib/modules/6.1.0-50-amd64/modules.dep",
		"lib/modules/5.14.0-503.el9.x86_64/vmlinuz",
		"boot/vmlinuz-0-rescue-0123456789abcdef",
		"lib/modules/4.18.0-no-kernel/modules.dep")
	got, err := kernel.Find(tr)
	if err != nil {
		t.Fatal(err)
	}
	want := []kernel.Kernel{
		{Version: "6.1.0-50-amd64", Path: "boot/vmlinuz-6.1.0-50-amd64"},
		{Version: "6.1.0-9-amd64", Path: "boot/vmlinuz-6.1.0-9-amd64"},
		{Version: "5.14.0-503.el9.x86_64", Path: "lib/modules/5.14.0-503.el9.x86_64/vmlinuz"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kernels (-want +got):\n%s", diff)
	}
	if k, err := kernel.Get(tr, ""); err != nil || k != want[0] {
		t.Errorf("newest is %v, %v", k, err)
	}
	if k, err := kernel.Get(tr, "6.1.0-9-amd64"); err != nil || k != want[1] {
		t.Errorf("asked for the second, got %v, %v", k, err)
	}
	if _, err := kernel.Get(tr, "6.1.0-10-amd64"); err == nil || !strings.Contains(err.Error(), "6.1.0-50-amd64") {
		t.Errorf("unknown version: %v, want an error that names what there is", err)
	}
	if _, err := kernel.Get(newTree(t), ""); err == nil {
		t.Error("an empty image has a kernel")
	}
}

func TestCompare(t *testing.T) {
	sorted := []string{
		"4.18.0-553.el8_10.x86_64", "5.14.0-362.el9.x86_64", "5.14.0-362.8.1.el9_3.x86_64", "5.14.0-427.el9.x86_64",
		"6.1.0-rc1", "6.1.0-rc2", "6.1.0", "6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-cloud-amd64", "6.12.0",
	}
	for i := range sorted {
		for j := range sorted {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := kernel.Compare(sorted[i], sorted[j]); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", sorted[i], sorted[j], got, want)
			}
		}
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.StringMatching(`([0-9]{1,2}|rc|el|[a-c])([.-]([0-9]{1,3}|rc|el|[a-c])){0,4}`)
		vs := rapid.SliceOfN(version, 3, 3).Draw(t, "versions")
		slices.SortFunc(vs, kernel.Compare)
		if kernel.Compare(vs[0], vs[2]) > 0 || kernel.Compare(vs[0], vs[1]) != -kernel.Compare(vs[1], vs[0]) {
			t.Fatalf("no order: %q", vs)
		}
	})
}
