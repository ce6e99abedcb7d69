package graft

import (
	"archive/tar"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// TestForeignMountIsNotTouched wants what is mounted, and what is below, to count as foreign.
func TestForeignMountIsNotTouched(t *testing.T) {
	testenv.Root(t)
	root := t.TempDir()
	foreign := filepath.Join(root, "scratch")
	check(t, os.Mkdir(foreign, 0o755))
	check(t, unix.Mount("tmpfs", foreign, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { check(t, unix.Unmount(foreign, unix.MNT_DETACH)) })
	p, err := newPlaces(root)
	check(t, err)
	for name, mine := range map[string]bool{"scratch": false, "scratch/file": false, "other": true, ".": true} {
		for _, kind := range []byte{tar.TypeDir, tar.TypeReg} {
			if err := p.check(&Fact{Header: &tar.Header{Name: name, Typeflag: kind}}); (err == nil) != mine {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	check(t, p.clear())
}
