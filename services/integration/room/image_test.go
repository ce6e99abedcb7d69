package room

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

func TestImageHoldsOneOfEverything(t *testing.T) {
	img, err := MakeImage(t.Context(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	for path, name := range map[string]string{
		"usr/local/bin/ping-cap": "security.capability",
		"srv/acl.txt":            "system.posix_acl_access",
		"srv/xattr.txt":          "user.luna",
	} {
		if value, err := xattr.LGet(filepath.Join(img.Root, path), name); err != nil || len(value) == 0 {
			t.Errorf("%s has no %s: %v", path, name, err)
		}
	}
	if a, b := stat(t, img, "srv/hard-a"), stat(t, img, "srv/hard-b"); a.Ino != b.Ino {
		t.Error("srv/hard-a and srv/hard-b are two files")
	}
	if s := stat(t, img, "srv/sparse"); s.Size != 64<<20 || s.Blocks*512 > 1<<20 {
		t.Errorf("srv/sparse: %d bytes in %d blocks", s.Size, s.Blocks)
	}
	for _, pattern := range []string{"boot/vmlinuz-*", "lib/modules/*/modules.dep", "etc/ssh/ssh_host_ed25519_key", "usr/bin/udevadm"} {
		if found, err := filepath.Glob(filepath.Join(img.Root, pattern)); err != nil || len(found) != 1 {
			t.Errorf("%s: %v %v", pattern, found, err)
		}
	}
	checkKey(t, img)
}

func TestScriptsPassShellcheck(t *testing.T) {
	for _, name := range []string{"make-image.sh", "install-packages.sh"} {
		script, err := findUp(filepath.Join("deploy/room", name))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("shellcheck", script).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func checkKey(t *testing.T, img Image) {
	t.Helper()
	public, err := os.ReadFile(img.Key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	authorized, err := os.ReadFile(filepath.Join(img.Root, "root/.ssh/authorized_keys"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(public, authorized) {
		t.Error("the key does not open root's account")
	}
}

func stat(t *testing.T, img Image, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(img.Root, path), &st); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return st
}
