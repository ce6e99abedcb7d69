package kernel_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// laidOut makes a tree of names, one a line: "name -> target" is a link, and one that ends in / a directory. Other names
// are files that hold their name.
func laidOut(t *testing.T, text string) tree.Tree {
	t.Helper()
	root := t.TempDir()
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' }) {
		name, target, link := strings.Cut(strings.TrimSpace(line), " -> ")
		p := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(p), 0o755)
		switch {
		case link:
			err = errors.Join(err, os.Symlink(target, p))
		case strings.HasSuffix(name, "/"):
			err = errors.Join(err, os.MkdirAll(p, 0o755))
		default:
			err = errors.Join(err, os.WriteFile(p, []byte(name), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return tree.At(root)
}

// distributions are the files of installed kernels as these distributions lay them out, and what is to be found.
var distributions = map[string]struct {
	files string
	want  []kernel.Kernel
}{
	"Debian 12": {`lib -> usr/lib
		vmlinuz -> boot/vmlinuz-6.1.0-28-amd64
		vmlinuz.old -> boot/vmlinuz-6.1.0-9-amd64
		boot/vmlinuz-6.1.0-28-amd64
		boot/vmlinuz-6.1.0-9-amd64
		boot/config-6.1.0-28-amd64
		boot/System.map-6.1.0-28-amd64
		boot/initrd.img-6.1.0-28-amd64
		usr/lib/modules/6.1.0-28-amd64/modules.dep
		usr/lib/modules/6.1.0-9-amd64/modules.dep
		usr/lib/modules/6.1.0-18-amd64/updates/dkms/left.ko`,
		[]kernel.Kernel{{Version: "6.1.0-28-amd64", Path: "boot/vmlinuz-6.1.0-28-amd64"}, {Version: "6.1.0-9-amd64", Path: "boot/vmlinuz-6.1.0-9-amd64"}}},
	"Debian 11, with /lib of its own": {`boot/vmlinuz-5.10.0-33-amd64
		lib/modules/5.10.0-33-amd64/modules.dep
		boot/vmlinuz-5.10.0-33-amd64-dbg
		lib/modules/5.10.0-33-amd64-dbg/modules.dep`,
		[]kernel.Kernel{{Version: "5.10.0-33-amd64", Path: "boot/vmlinuz-5.10.0-33-amd64"}, {Version: "5.10.0-33-amd64-dbg", Path: "boot/vmlinuz-5.10.0-33-amd64-dbg"}}},
	"Ubuntu 24.04": {`lib -> usr/lib
		boot/vmlinuz -> vmlinuz-6.8.0-49-generic
		boot/vmlinuz.old -> vmlinuz-6.8.0-31-generic
		boot/vmlinuz-6.8.0-49-generic
		boot/vmlinuz-6.8.0-31-generic
		usr/lib/modules/6.8.0-49-generic/modules.dep
		usr/lib/modules/6.8.0-31-generic/modules.dep`,
		[]kernel.Kernel{{Version: "6.8.0-49-generic", Path: "boot/vmlinuz-6.8.0-49-generic"}, {Version: "6.8.0-31-generic", Path: "boot/vmlinuz-6.8.0-31-generic"}}},
	"RHEL 9": {`lib -> usr/lib
		boot/vmlinuz-5.14.0-503.14.1.el9_5.x86_64
		boot/.vmlinuz-5.14.0-503.14.1.el9_5.x86_64.hmac
		boot/vmlinuz-0-rescue-8f1d3c0e5a7b4f6f9f7e2f0c1a2b3c4d
		boot/vmlinuz-5.14.0-503.14.1.el9_5.x86_64+debug
		usr/lib/modules/5.14.0-503.14.1.el9_5.x86_64/vmlinuz
		usr/lib/modules/5.14.0-503.14.1.el9_5.x86_64/.vmlinuz.hmac
		usr/lib/modules/5.14.0-503.14.1.el9_5.x86_64/symvers.gz
		usr/lib/modules/5.14.0-503.14.1.el9_5.x86_64+debug/vmlinuz
		usr/lib/modules/5.14.0-427.el9.x86_64/weak-updates/kmod.ko`,
		[]kernel.Kernel{{Version: "5.14.0-503.14.1.el9_5.x86_64", Path: "boot/vmlinuz-5.14.0-503.14.1.el9_5.x86_64"},
			{Version: "5.14.0-503.14.1.el9_5.x86_64+debug", Path: "boot/vmlinuz-5.14.0-503.14.1.el9_5.x86_64+debug"}}},
	"RHEL 9 without /boot": {`lib -> usr/lib
		boot/loader/entries/
		usr/lib/modules/5.14.0-503.14.1.el9_5.x86_64/vmlinuz
		usr/lib/modules/5.14.0-503.11.1.el9_5.x86_64/vmlinuz`,
		[]kernel.Kernel{{Version: "5.14.0-503.14.1.el9_5.x86_64", Path: "usr/lib/modules/5.14.0-503.14.1.el9_5.x86_64/vmlinuz"},
			{Version: "5.14.0-503.11.1.el9_5.x86_64", Path: "usr/lib/modules/5.14.0-503.11.1.el9_5.x86_64/vmlinuz"}}},
	"openSUSE Leap 15.6": {`boot/vmlinuz -> vmlinuz-6.4.0-150600.23.25-default
		boot/vmlinuz-6.4.0-150600.23.25-default -> ../lib/modules/6.4.0-150600.23.25-default/vmlinuz
		boot/.vmlinuz-6.4.0-150600.23.25-default.hmac -> ../lib/modules/6.4.0-150600.23.25-default/.vmlinuz.hmac
		lib/modules/6.4.0-150600.23.25-default/vmlinuz
		boot/vmlinuz-6.4.0-150600.23.25-debug
		lib/modules/6.4.0-150600.23.25-debug/modules.dep
		lib/modules/6.4.0-150600.21-default/updates/left.ko`,
		[]kernel.Kernel{{Version: "6.4.0-150600.23.25-default", Path: "lib/modules/6.4.0-150600.23.25-default/vmlinuz"},
			{Version: "6.4.0-150600.23.25-debug", Path: "boot/vmlinuz-6.4.0-150600.23.25-debug"}}},
	"openSUSE Tumbleweed": {`lib -> usr/lib
		boot/vmlinuz -> vmlinuz-6.12.1-1-default
		boot/vmlinuz-6.12.1-1-default -> /usr/lib/modules/6.12.1-1-default/vmlinuz
		usr/lib/modules/6.12.1-1-default/vmlinuz
		usr/lib/modules/6.11.8-1-default/vmlinuz`,
		[]kernel.Kernel{{Version: "6.12.1-1-default", Path: "usr/lib/modules/6.12.1-1-default/vmlinuz"}, {Version: "6.11.8-1-default", Path: "usr/lib/modules/6.11.8-1-default/vmlinuz"}}},
	"SUSE for ARM": {`lib -> usr/lib
		boot/Image -> Image-6.4.0-150600.23.25-default
		boot/Image-6.4.0-150600.23.25-default -> ../usr/lib/modules/6.4.0-150600.23.25-default/Image
		usr/lib/modules/6.4.0-150600.23.25-default/Image
		usr/lib/modules/6.4.0-150600.21-default/Image`,
		[]kernel.Kernel{{Version: "6.4.0-150600.23.25-default", Path: "usr/lib/modules/6.4.0-150600.23.25-default/Image"},
			{Version: "6.4.0-150600.21-default", Path: "usr/lib/modules/6.4.0-150600.21-default/Image"}}},
}

func TestDistributions(t *testing.T) {
	for name, c := range distributions {
		tr := laidOut(t, c.files)
		got, err := kernel.Find(tr)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, kernels (-want +got):\n%s", name, err, diff)
		}
		for i, want := range append(c.want, c.want[0]) {
			version := want.Version
			if i == len(c.want) {
				version = "" // nobody chooses
			}
			k, err := kernel.Get(tr, version)
			if err != nil || k != want {
				t.Errorf("%s, kernel %q: %v, %v", name, version, k, err)
			}
			if data, err := os.ReadFile(tr.Host(k.Path)); err != nil || string(data) != k.Path {
				t.Errorf("%s: the file of kernel %s holds %q, %v", name, k.Version, data, err)
			}
		}
		_, err = kernel.Get(tr, "1.2.3")
		for _, k := range c.want {
			if err == nil || !strings.Contains(err.Error(), `no kernel "1.2.3", it has `) || !strings.Contains(err.Error(), k.Version) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestNoKernelSaysWhatWasLookedFor has trees with half a kernel, or none.
func TestNoKernelSaysWhatWasLookedFor(t *testing.T) {
	const all = "none of /boot/vmlinuz-VERSION, /lib/modules/VERSION/vmlinuz, /boot/Image-VERSION, /lib/modules/VERSION/Image"
	for files, want := range map[string]string{
		"etc/": "each with the modules of that VERSION in /lib/modules/VERSION",
		"boot/vmlinuz-6.1.0-28-amd64\nboot/vmlinuz -> vmlinuz-6.1.0-28-amd64":           "; /boot/vmlinuz has no modules, /boot/vmlinuz-6.1.0-28-amd64 has no modules",
		"lib -> usr/lib\nusr/lib/modules/6.1.0-28-amd64/modules.dep":                    "; /lib/modules/6.1.0-28-amd64 has no kernel",
		"boot/vmlinuz-6.1 -> /nowhere\nlib/modules/6.1/modules.dep":                     "/lib/modules/6.1 has no kernel",
		"boot/vmlinuz-6.1 -> ../../../../../../../etc/hostname\nlib/modules/6.1/vmlinu": "/lib/modules/6.1 has no kernel",
	} {
		_, err := kernel.Get(laidOut(t, files), "")
		if !errors.Is(err, kernel.ErrNone) || !strings.Contains(err.Error(), all) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", files, err, want)
		}
	}
}
