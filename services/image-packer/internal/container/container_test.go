package container_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/treetest"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/container"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), testenv.Program(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// unpack unpacks the image of a source.
func unpack(t *testing.T, source, platform string) (root string, image *container.Image, err error) {
	t.Helper()
	src, err := imagepackerv1.ParseSource(source)
	must(t, err)
	root = filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(root, 0o700))
	image, err = container.Open(src, platform, t.TempDir())
	if err != nil {
		return root, nil, err
	}
	defer func() { must(t, image.Close()) }()
	var last, total int64
	err = image.Unpack(t.Context(), root, func(done, all int64) { last, total = done, all })
	if err == nil && last != total {
		t.Errorf("%s: read %d of %d bytes", source, last, total)
	}
	return root, image, err
}

// dress puts one of everything into a root file system.
func dress(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"etc/apt", "usr/bin", "usr/lib", "srv", "opt/old/deep", "var/cache", "empty"} {
		must(t, os.MkdirAll(at(dir), 0o755))
	}
	for _, f := range []string{"etc/passwd", "etc/gone", "etc/apt/list", "usr/bin/su", "usr/bin/ping", "opt/old/deep/a", "opt/old/b", "var/cache/x", "srv/" + strings.Repeat("n", 200)} {
		must(t, os.WriteFile(at(f), bytes.Repeat([]byte(f), 1000), 0o644))
	}
	must(t, os.Chmod(at("usr/bin/su"), 0o755|os.ModeSetuid))
	must(t, os.Lchown(at("etc/passwd"), 17, 2_500_000))
	must(t, os.Chmod(at("srv"), 0o750|os.ModeSetgid))
	must(t, os.Symlink("usr/lib", at("lib")))
	must(t, os.Symlink("/etc/passwd", at("etc/absolute")))
	must(t, os.Link(at("usr/bin/ping"), at("usr/bin/ping6")))
	must(t, unix.Mknod(at("srv/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(at("srv/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 7))))
	must(t, unix.Mkfifo(at("srv/pipe"), 0o640))
	capability, err := hex.DecodeString("0100000200200000000000000000000000000000")
	must(t, err)
	must(t, unix.Setxattr(at("usr/bin/ping"), "security.capability", capability, 0))
	must(t, unix.Setxattr(at("etc/passwd"), "user.note", []byte("x\x00y=%"), 0))
	must(t, unix.Setxattr(at("empty"), "trusted.mark", []byte("1"), 0))
}

// age gives every name a time of its own, in whole seconds: umoci rounds.
func age(t *testing.T, root string) {
	t.Helper()
	n := int64(0)
	var names []string
	must(t, filepath.WalkDir(root, func(p string, _ os.DirEntry, err error) error {
		names = append(names, p)
		return err
	}))
	for _, p := range slices.Backward(names) {
		n++
		ts := unix.NsecToTimespec(time.Date(2011, 2, 3, 4, 5, 6, 0, time.UTC).UnixNano() + n*12345e9)
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// TestStrangersImages lets umoci make an image of three layers and skopeo copy it to every form, and compares what
// comes out with what umoci unpacks, and with the tree that the image was made of.
func TestStrangersImages(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	layout, bundle := filepath.Join(dir, "layout"), filepath.Join(dir, "bundle")
	root := filepath.Join(bundle, "rootfs")
	run(t, "umoci", "init", "--layout", layout)
	run(t, "umoci", "new", "--image", layout+":one")
	run(t, "umoci", "unpack", "--image", layout+":one", bundle)
	dress(t, root)
	age(t, root)
	run(t, "umoci", "repack", "--refresh-bundle", "--image", layout+":two", bundle)
	for _, gone := range []string{"etc/gone", "opt/old", "usr/bin/ping6"} {
		must(t, os.RemoveAll(filepath.Join(root, gone)))
	}
	must(t, os.WriteFile(filepath.Join(root, "opt/old"), []byte("a file now"), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("another"), 0o600))
	age(t, root)
	run(t, "umoci", "repack", "--image", layout+":three", bundle)

	more := filepath.Join(dir, "more")
	must(t, os.MkdirAll(more, 0o700))
	must(t, os.WriteFile(filepath.Join(more, "new"), []byte("new"), 0o600))
	run(t, "umoci", "insert", "--opaque", "--image", layout+":three", "--tag", "four", more, "/etc/apt")
	run(t, "umoci", "insert", "--whiteout", "--image", layout+":four", "/var/cache")
	run(t, "umoci", "raw", "unpack", "--image", layout+":four", filepath.Join(dir, "four"))

	made := func(form string, args ...string) string {
		run(t, "skopeo", append([]string{"copy", "oci:" + layout + ":four", form}, args...)...)
		return form
	}
	packed := filepath.Join(dir, "d.tar")
	made("docker-archive:" + packed + ":example.org/luna/debian:12")
	run(t, "gzip", "-k", packed)
	for _, c := range []struct{ source, want string }{
		{"oci:" + layout + ":three", root},
		{"oci:" + layout + ":four", filepath.Join(dir, "four")},
		{made("oci:"+filepath.Join(dir, "zstd"), "--dest-compress", "--dest-compress-format", "zstd"), filepath.Join(dir, "four")},
		{made("oci-archive:" + filepath.Join(dir, "o.tar") + ":v1"), filepath.Join(dir, "four")},
		{"oci-archive:" + filepath.Join(dir, "o.tar"), filepath.Join(dir, "four")},
		{"docker-archive:" + packed, filepath.Join(dir, "four")},
		{"docker-archive:" + packed + ":example.org/luna/debian:12", filepath.Join(dir, "four")},
		{"docker-archive:" + packed + ".gz:@0", filepath.Join(dir, "four")},
	} {
		got, image, err := unpack(t, c.source, "")
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		if image.Platform != "linux/amd64" {
			t.Errorf("%s is for %s", c.source, image.Platform)
		}
		if diff := treetest.Differences(t, c.want, got); len(diff) > 0 {
			t.Errorf("%s differs:\n%s", c.source, strings.Join(diff, "\n"))
		}
	}
	if layers := mediaTypes(t, filepath.Join(dir, "zstd")); !strings.Contains(layers, "+zstd") {
		t.Errorf("skopeo wrote %s", layers)
	}
}

// mediaTypes returns the manifests of a layout.
func mediaTypes(t *testing.T, layout string) string {
	t.Helper()
	var all string
	files, err := filepath.Glob(filepath.Join(layout, "blobs/sha256/*"))
	must(t, err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		must(t, err)
		var m struct{ Layers json.RawMessage }
		if json.Unmarshal(data, &m) == nil {
			all += fmt.Sprintf("%s\n", m.Layers)
		}
	}
	return all
}
