package initrd_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// wantLoaded are modules with dependencies of their own.
const wantLoaded = "xfs virtio_net mlx5_core"

// loadAll is an initrd's process 1 that loads modules and says which the kernel has.
const loadAll = `#!/bin/bash
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for m in ` + wantLoaded + `; do
	modprobe "$m" && grep -q "^$m " /proc/modules && echo "LOADED $m"
done
echo ALL TRIED
echo o > /proc/sysrq-trigger
sleep 60
`

// TestPackedModulesLoad packs images whose kernels have packed modules, and boots what comes out.
func TestPackedModulesLoad(t *testing.T) {
	t.Parallel()
	testenv.Root(t)
	for suffix, pack := range map[string][]string{".xz": {"xz", "-0", "--check=crc32"}, ".zst": {"zstd", "-q", "-1", "--rm"}} {
		t.Run(suffix, func(t *testing.T) {
			root := withPackedModules(t, testenv.Image(t), suffix, pack)
			path := filepath.Join(t.TempDir(), "initrd.img")
			buildOf(t, root, path, standIn(t), true)
			addInit(t, path)
			said := bootOnce(t, testenv.Kernel(t), path)
			for _, m := range strings.Fields(wantLoaded) {
				if !strings.Contains(said, "LOADED "+m+"\r\n") {
					t.Errorf("%s is not loaded", m)
				}
			}
			if t.Failed() {
				t.Logf("the console:\n%s", said)
			}
		})
	}
}

// withPackedModules returns a copy of the image with all its modules packed.
func withPackedModules(t *testing.T, image, suffix string, pack []string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("cp", "-a", "--reflink=auto", image, root).CombinedOutput(); err != nil {
		t.Fatalf("copy the image: %v\n%s", err, out)
	}
	modules := filepath.Join(root, "usr/lib/modules")
	var files []string
	err := filepath.WalkDir(modules, func(p string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(p, ".ko") {
			files = append(files, p)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d modules in the image, %v", len(files), err)
	}
	if out, err := exec.Command(testenv.Program(t, pack[0]), append(pack[1:], files...)...).CombinedOutput(); err != nil {
		t.Fatalf("pack the modules: %v\n%s", err, out)
	}
	if out, err := exec.Command(testenv.Program(t, "depmod"), "-b", root, onlyName(t, modules)).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v\n%s", err, out)
	}
	if _, err := os.Stat(files[0] + suffix); err != nil {
		t.Fatal(err)
	}
	return root
}

// addInit appends an archive with loadAll to an initrd. Kernels unpack all archives that follow each other.
func addInit(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(make([]byte, (4-end%4)%4))
	w := cpio.Newc.Writer(f)
	err = errors.Join(err, w.WriteRecord(cpio.StaticFile("load-all", loadAll, 0o755)), w.WriteRecord(cpio.TrailerRecord), f.Close())
	if err != nil {
		t.Fatal(err)
	}
}

// bootOnce boots a virtual machine until it switches itself off, and returns what it says.
func bootOnce(t *testing.T, kernel, initrd string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, testenv.Program(t, "qemu-system-x86_64"), "-accel", "tcg", "-cpu", "max", "-m", "1024", "-no-reboot",
		"-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none",
		"-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 rdinit=/load-all panic=-1").CombinedOutput()
	if err != nil {
		t.Fatalf("the virtual machine: %v\n%s", err, out)
	}
	return string(out)
}
