package sysroot

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/testenv"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// imageOf makes a compressed image of a tree in one file.
func imageOf(t *testing.T, tree string) string {
	t.Helper()
	payload, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	m, err := release.PackImage(t.Context(), release.Options{Tree: tree, PayloadDir: payload})
	if err != nil {
		t.Fatal(err)
	}
	to, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	for _, s := range m.Segments {
		f, err := os.Open(filepath.Join(payload, s.Digest.Hex()))
		if err == nil {
			_, err = io.Copy(to, f)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return image
}

func TestOverlay(t *testing.T) {
	testenv.Root(t)
	tree, work, dir := t.TempDir(), t.TempDir(), t.TempDir()
	capability := []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	err := errors.Join(os.MkdirAll(tree+"/usr/bin", 0o755), os.WriteFile(tree+"/usr/bin/ping", []byte(strings.Repeat("ping", 9000)), 0o755),
		unix.Setxattr(tree+"/usr/bin/ping", "security.capability", capability, 0), os.Chmod(tree, 0o711), unix.Setxattr(tree, "trusted.mark", []byte("m"), 0))
	if err != nil {
		t.Fatal(err)
	}
	image := imageOf(t, tree)
	apart(t)
	if err := Overlay(image, dir, work); err != nil {
		t.Fatal(err)
	}
	mounts, err := Mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if below(m.Point, work) {
			t.Errorf("%s stays in sight", m.Point)
		}
	}
	// What the boot tidies away is not what the root needs.
	if err := errors.Join(os.Remove(image), os.RemoveAll(work)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("the root has mode %v, %v", info.Mode(), err)
	}
	value := make([]byte, 64)
	if n, err := unix.Getxattr(dir, "trusted.mark", value); err != nil || string(value[:n]) != "m" {
		t.Errorf("the root has the attribute %q, %v", value[:n], err)
	}
	// A change keeps what the image says of the file, and a directory of it can be renamed.
	err = errors.Join(os.WriteFile(dir+"/new", nil, 0o644), os.Chown(dir+"/usr/bin/ping", 7, 7), unix.Setxattr(dir+"/usr/bin/ping", "security.capability", capability, 0),
		os.Rename(dir+"/usr/bin", dir+"/usr/sbin"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(dir + "/usr/sbin/ping"); err != nil || len(data) != 36000 {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
	if n, err := unix.Getxattr(dir+"/usr/sbin/ping", "security.capability", value); err != nil || string(value[:n]) != string(capability) {
		t.Errorf("capability %x, %v", value[:n], err)
	}
	if err := IsKind(dir, inventoryv1.RootOverlay); err != nil {
		t.Error(err)
	}
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
}

func TestOverlayOfNoImage(t *testing.T) {
	apart(t)
	image, work, dir := filepath.Join(t.TempDir(), "image"), t.TempDir(), t.TempDir()
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Overlay(image, dir, work); err == nil || !strings.Contains(err.Error(), "mount "+image+" as erofs") {
		t.Errorf("got %v", err)
	}
	if mounted, err := IsMount(dir); mounted || err != nil {
		t.Errorf("after that %s is mounted: %t, %v", dir, mounted, err)
	}
}

func TestKinds(t *testing.T) {
	disk := func(path string) bool { return path == "/dev/sda2" }
	for _, c := range []struct {
		mount Mount
		root  string
		want  string
	}{
		{Mount{"/sysroot", "tmpfs", "tmpfs"}, "", ""},
		{Mount{"/sysroot", "tmpfs", "tmpfs"}, "tmpfs", ""},
		{Mount{"/sysroot", "ext4", "/dev/sda2"}, "disk", ""},
		{Mount{"/sysroot", "ext4", "/dev/sda2"}, "tmpfs", "the root of the group is tmpfs, and /sysroot is /dev/sda2 of type ext4: mount a tmpfs there, or change the group's root"},
		{Mount{"/sysroot", "tmpfs", "none"}, "disk", "the root of the group is disk, and /sysroot is none of type tmpfs: mount a file system of a disk there, or change the group's root"},
		{Mount{"/sysroot", "nfs4", "head:/root"}, "disk", "the root of the group is disk, and /sysroot is head:/root of type nfs4: mount a file system of a disk there, or change the group's root"},
	} {
		got := ""
		if err := c.mount.isKind(c.root, disk); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v, root %q: %q, want %q", c.mount, c.root, got, c.want)
		}
	}
}
