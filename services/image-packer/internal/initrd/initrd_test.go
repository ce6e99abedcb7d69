package initrd_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
)

const program = `package main

import "os"

func main() { os.Stdout.WriteString("version 1\n") }
`

// static builds a static program once: it stands for the agent and for all tools of the small image.
var static = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "static-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "main")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(said)))
	}
	return os.ReadFile(out)
})

// image is a small image under construction.
type image struct {
	*testing.T
	root  string
	agent string
}

func newImage(t *testing.T) image {
	t.Helper()
	testenv.Root(t)
	bin, err := static()
	if err != nil {
		t.Fatal(err)
	}
	im := image{t, t.TempDir(), filepath.Join(t.TempDir(), "luna-agent")}
	if err := os.WriteFile(im.agent, bin, 0o755); err != nil {
		t.Fatal(err)
	}
	im.link("bin", "usr/bin")
	im.link("sbin", "usr/sbin")
	im.link("lib", "usr/lib")
	for _, tool := range []string{"bash", "mount", "udevadm", "kmod", "mawk"} {
		im.file("usr/bin/"+tool, string(bin))
	}
	im.link("usr/bin/awk", "/etc/alternatives/awk")
	im.link("etc/alternatives/awk", "/usr/bin/mawk")
	im.link("usr/sbin/modprobe", "../bin/kmod")
	im.link("usr/lib/systemd/systemd-udevd", "/bin/udevadm")
	im.file("usr/lib/udev/rules.d/60-persistent-storage.rules", "disk")
	im.file("usr/lib/udev/rules.d/78-sound-card.rules", "sound")
	im.link("etc/udev/rules.d/80-net-setup-link.rules", "/dev/null")
	im.file("usr/lib/systemd/network/99-default.link", "link")
	im.file("usr/lib/udev/hwdb.bin", "hwdb")
	im.file("boot/vmlinuz-6.1", "kernel")
	im.file("boot/config-6.1", "CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n")
	im.file("usr/lib/modules/6.1/modules.dep", "kernel/drivers/net/e1000e.ko: kernel/lib/x.ko\nkernel/lib/x.ko:\nkernel/sound/s.ko:\n")
	im.file("usr/lib/modules/6.1/modules.alias", "alias pci:v1 e1000e\n")
	for _, ko := range []string{"drivers/net/e1000e.ko", "lib/x.ko", "sound/s.ko"} {
		im.file("usr/lib/modules/6.1/kernel/"+ko, string(bin))
	}
	im.file("etc/passwd", "root:$6$hash:0:0:root:/root:/bin/bash\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\nada:x:1000:1000::/home/ada:/bin/bash\n")
	im.file("etc/shadow", "root:$6$hash:1::::::\n")
	im.file("etc/ssh/ssh_host_ed25519_key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n")
	im.file("root/.ssh/authorized_keys", "ssh-ed25519 AAAA ada\n")
	im.file("etc/ssl/certs/ca-certificates.crt", "bundle")
	return im
}

func (im image) file(name, content string) {
	im.Helper()
	p := filepath.Join(im.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o755)); err != nil {
		im.Fatal(err)
	}
}

func (im image) link(name, target string) {
	im.Helper()
	p := filepath.Join(im.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.Symlink(target, p)); err != nil {
		im.Fatal(err)
	}
}

func (im image) build(out io.Writer, modules ...string) (*initrd.Report, error) {
	return initrd.Build(im.Context(), initrd.Options{
		Tree: im.root, KernelVersion: "6.1", AgentBinary: im.agent, KernelModules: modules, WorkDir: im.TempDir(), Out: out,
	})
}

// contents unpacks the archive: what each file holds, where each link points, "dir" and "char" for the rest.
func contents(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	err = cpio.ForEachRecord(cpio.Newc.Reader(bytes.NewReader(plain)), func(rec cpio.Record) error {
		switch rec.Mode & cpio.S_IFMT {
		case cpio.S_IFDIR:
			got[rec.Name] = "dir"
			return nil
		case cpio.S_IFCHR:
			got[rec.Name] = "char"
			return nil
		}
		data, err := io.ReadAll(io.NewSectionReader(rec, 0, int64(rec.FileSize)))
		got[rec.Name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestBuild(t *testing.T) {
	im := newImage(t)
	var out bytes.Buffer
	report, err := im.build(&out, "ipmi_si")
	if err != nil {
		t.Fatal(err)
	}
	if !report.Tried || !report.Udev || report.Compression != "zstd" || report.Modules != 2 || report.Size != int64(out.Len()) {
		t.Errorf("report %+v", report)
	}
	if diff := cmp.Diff([]string{"ipmi_si"}, report.MissingModules); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"awk", "bash", "kmod", "modprobe", "mount", "systemd-udevd", "udevadm"}, report.Tools); diff != "" {
		t.Errorf("tools (-want +got):\n%s", diff)
	}
	missing := strings.Join(report.MissingTools, " ")
	if !strings.Contains(missing, "mkfs.xfs") || strings.Contains(missing, "bash") {
		t.Errorf("missing tools: %s", missing)
	}
	z, err := zstd.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	wantContents(t, contents(t, z))
}

func wantContents(t *testing.T, got map[string]string) {
	t.Helper()
	for name, want := range map[string]string{
		"init": "usr/bin/luna-agent", "usr/bin/dig": "luna-agent", "usr/bin/nslookup": "luna-agent",
		"bin": "usr/bin", "usr/bin/awk": "/etc/alternatives/awk", "etc/alternatives/awk": "/usr/bin/mawk",
		"usr/lib/systemd/systemd-udevd": "/bin/udevadm", "usr/lib/udev/hwdb.bin": "hwdb",
		"usr/lib/udev/rules.d/60-persistent-storage.rules": "disk", "etc/udev/rules.d/80-net-setup-link.rules": "/dev/null",
		"usr/lib/systemd/network/99-default.link": "link",
		"usr/lib/modules/6.1/modules.alias":       "alias pci:v1 e1000e\n",
		"etc/ssl/certs/ca-certificates.crt":       "bundle",
		"etc/passwd":                              "root:x:0:0:root:/root:/bin/bash\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n",
		"etc/shadow":                              "root:*:::::::\n",
		"root/.ssh/authorized_keys":               "ssh-ed25519 AAAA ada\n",
		"dev/console":                             "char", "proc": "dir", "sysroot": "dir",
	} {
		if got[name] != want {
			t.Errorf("%s: %.60q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"usr/lib/udev/rules.d/78-sound-card.rules", "usr/lib/modules/6.1/kernel/sound/s.ko", "etc/ssh/ssh_host_ed25519_key"} {
		if _, ok := got[name]; ok {
			t.Errorf("%s is there", name)
		}
	}
	for _, name := range []string{"usr/bin/luna-agent", "usr/bin/mawk", "usr/lib/modules/6.1/kernel/drivers/net/e1000e.ko", "usr/lib/modules/6.1/kernel/lib/x.ko"} {
		if !strings.HasPrefix(got[name], "\x7fELF") {
			t.Errorf("%s is not there", name)
		}
	}
}

func TestSameImageSameBytes(t *testing.T) {
	im := newImage(t)
	var one, two bytes.Buffer
	for _, out := range []*bytes.Buffer{&one, &two} {
		if _, err := im.build(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two builds differ")
	}
}

func TestOldKernelGetsGzip(t *testing.T) {
	im := newImage(t)
	im.file("boot/config-6.1", "CONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\n")
	var out bytes.Buffer
	report, err := im.build(&out)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, z); report.Compression != "gzip" || got["init"] != "usr/bin/luna-agent" {
		t.Errorf("%s, init is %q", report.Compression, got["init"])
	}
}

func TestHardLinksStayOneFile(t *testing.T) {
	im := newImage(t)
	im.file("usr/bin/mke2fs", "#!/usr/bin/bash\n# makes file systems\n")
	for _, name := range []string{"usr/bin/mkfs.ext2", "usr/bin/mkfs.ext4"} {
		if err := os.Link(filepath.Join(im.root, "usr/bin/mke2fs"), filepath.Join(im.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "initrd.img")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := im.build(out); err != nil {
		t.Fatal(err)
	}
	dir := unpacked(t, path)
	one, err := os.Stat(filepath.Join(dir, "usr/bin/mke2fs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usr/bin/mkfs.ext2", "usr/bin/mkfs.ext4"} {
		other, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !os.SameFile(one, other) {
			t.Errorf("%s is another file, %v", name, err)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, "usr/bin/mkfs.ext4")); string(data) != "#!/usr/bin/bash\n# makes file systems\n" {
		t.Errorf("it holds %q, %v", data, err)
	}
}

func TestProgress(t *testing.T) {
	im := newImage(t)
	var done, total, calls int64
	_, err := initrd.Build(t.Context(), initrd.Options{Tree: im.root, KernelVersion: "6.1", AgentBinary: im.agent, WorkDir: t.TempDir(), Out: io.Discard,
		Progress: func(d, n int64) {
			if d < done || d > n || calls > 0 && n != total {
				t.Errorf("%d of %d after %d of %d", d, n, done, total)
			}
			done, total, calls = d, n, calls+1
		}})
	if err != nil || done != total || calls < 10 {
		t.Errorf("%d of %d in %d calls, %v", done, total, calls, err)
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(image)
		want  string
	}{
		"private key": {func(im image) {
			im.file("root/.ssh/authorized_keys", "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n")
		}, "authorized_keys holds a private key"},
		"tool that dies":        {func(im image) { im.file("usr/bin/sed", "#!/usr/bin/bash-none\n") }, "sed"},
		"tool of no format":     {func(im image) { im.file("usr/bin/sed", "\x00nothing") }, "sed"},
		"packer that packs not": {func(im image) { im.file("usr/bin/zstd", "#!/usr/bin/bash\n") }, "write archive with zstd"},
		"agent of no format":    {func(im image) { im.spoilAgent() }, "agent"},
		"dynamic agent":         {image.dynamicAgent, "static"},
		"other kernel":          {func(im image) { im.remove("usr/lib/modules/6.1") }, "kernel"},
		"no index of modules":   {func(im image) { im.remove("usr/lib/modules/6.1/modules.dep") }, "depmod"},
		"module that is absent": {func(im image) { im.remove("usr/lib/modules/6.1/kernel/lib/x.ko") }, "x.ko"},
	} {
		t.Run(name, func(t *testing.T) {
			im := newImage(t)
			c.spoil(im)
			if _, err := im.build(io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func (im image) remove(name string) {
	im.Helper()
	if err := os.RemoveAll(filepath.Join(im.root, name)); err != nil {
		im.Fatal(err)
	}
}

// spoilAgent makes the agent a text.
func (im image) spoilAgent() {
	im.Helper()
	if err := os.WriteFile(im.agent, []byte("#!/bin/sh\n"), 0o755); err != nil {
		im.Fatal(err)
	}
}

// dynamicAgent puts this machine's shell in the agent's place.
func (im image) dynamicAgent() {
	im.Helper()
	data, err := os.ReadFile("/bin/sh")
	if err != nil {
		im.Fatal(err)
	}
	if err := os.WriteFile(im.agent, data, 0o755); err != nil {
		im.Fatal(err)
	}
}
