package release_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/erofs"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/testenv"
)

func packImage(t testing.TB, opts release.Options) *release.Manifest {
	t.Helper()
	m, err := release.PackImage(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// join puts the segments one behind the other, as a node has them.
func join(t testing.TB, m *release.Manifest, payload string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	to, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	for _, s := range m.Segments {
		f, err := os.Open(filepath.Join(payload, s.Digest.Hex()))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(to, f); err != nil || n != s.Size {
			t.Fatalf("%s has %d bytes, want %d: %v", s.Digest, n, s.Size, err)
		}
		f.Close()
	}
	return image
}

// mounted returns a directory with the image of a manifest.
func mounted(t testing.TB, m *release.Manifest, payload string) string {
	t.Helper()
	dir := t.TempDir()
	if err := erofs.Mount(join(t, m, payload), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// words is content that compresses.
func words(seed uint64, size int) []byte {
	letters := noise(seed, size/4+1)
	data := make([]byte, 0, size)
	for i := range size {
		data = append(data, "the node boots "[letters[i/8%len(letters)]%15])
	}
	return data
}

func TestImageIsTheTree(t *testing.T) {
	source, payload := newTree(t), t.TempDir()
	grow(t, source)
	tr := tree{t, source}
	for i, size := range []int{1, 3900, 4096, 4097, 8192, 8193, 128 << 10, 128<<10 + 1, 256<<10 + 4096, 700_001} {
		tr.file(filepath.Join("words", string(rune('a'+i))), words(uint64(i), size))
	}
	tr.file("words/mixed", append(append(words(1, 300_000), noise(7, 300_000)...), words(2, 100_000)...))
	for i := range 400 {
		tr.file(fmt.Sprintf("many/a-name-long-enough-that-the-directory-has-several-blocks-%d", i), noise(uint64(i), i*13))
	}
	tr.file("twice/one", noise(50, 40<<20))
	tr.file("twice/two", noise(50, 40<<20))
	tr.times()
	m := packImage(t, release.Options{Tree: source, PayloadDir: payload, KernelVersion: "6.1"})
	if len(m.Segments) < 6 || m.Kind != release.Image {
		t.Fatalf("%d segments of kind %q: the tree does not try enough", len(m.Segments), m.Kind)
	}
	wantSame(t, source, mounted(t, m, payload))
}

// TestEmptyFileOfTwoNames: a last part that holds an empty file alone is no segment.
func TestEmptyFileOfTwoNames(t *testing.T) {
	testenv.Root(t)
	source, payload := t.TempDir(), t.TempDir()
	tr := tree{t, source}
	tr.file("a/empty", nil)
	tr.check(os.Link(tr.path("a/empty"), tr.path("a/other")))
	var got unix.Stat_t
	tr.check(unix.Lstat(filepath.Join(mounted(t, packImage(t, release.Options{Tree: source, PayloadDir: payload}), payload), "a/other"), &got))
	if got.Size != 0 || got.Nlink != 2 || got.Mode != unix.S_IFREG|0o644 {
		t.Errorf("it is %+v", got)
	}
}

// TestStrangersReadTheImage has erofs-utils check the image, and unpack all content from it.
func TestStrangersReadTheImage(t *testing.T) {
	testenv.Program(t, "fsck.erofs")
	source, payload := newTree(t), t.TempDir()
	tree{t, source}.file("words", words(1, 3<<20))
	m := packImage(t, release.Options{Tree: source, PayloadDir: payload})
	image := join(t, m, payload)
	out := filepath.Join(t.TempDir(), "out")
	command(t, "fsck.erofs", "--extract="+out, image)
	want, got := facts(t, source), facts(t, out)
	got["usr/bin/su"] += " is usr/bin/su, 2" // it makes copies of hard links
	for _, name := range []string{"words", "usr/bin/su", "srv/disk", "srv/pipe", "etc/absolute", "name\xff\xfe with\nnewline", "var/sparse"} {
		if want[name] != got[name] {
			t.Errorf("%s: fsck.erofs made\n%s\nwant\n%s", name, got[name], want[name])
		}
	}
}

func TestSameTreeSameImage(t *testing.T) {
	source := newTree(t)
	grow(t, source)
	first, second := t.TempDir(), t.TempDir()
	one := packImage(t, release.Options{Tree: source, PayloadDir: first, Workers: 1})
	two := packImage(t, release.Options{Tree: source, PayloadDir: second})
	a, err := one.Encode()
	b, err2 := two.Encode()
	if err != nil || err2 != nil || string(a) != string(b) {
		t.Errorf("two packs of one tree differ: %v %v", err, err2)
	}
	wantOnlySegments(t, first, one)
}

// TestOneChangeOfAnImage: what did not change is neither read nor stored again, wherever it stands in the image.
func TestOneChangeOfAnImage(t *testing.T) {
	source, payload := newTree(t), t.TempDir()
	grow(t, source)
	index := filepath.Join(t.TempDir(), "index")
	opts := release.Options{Tree: source, PayloadDir: payload, Index: index}
	before := packImage(t, opts.At(later()))
	tree{t, source}.file("etc/passwd", words(5, 3<<20))
	var read int64
	opts.Progress = func(done, _ int64) { read = done }
	after := packImage(t, opts.At(later()))
	known := map[release.Digest]bool{}
	for _, s := range before.Segments {
		known[s.Digest] = true
	}
	fresh := 0
	for _, s := range after.Segments {
		if !known[s.Digest] {
			fresh++
		}
	}
	if fresh != 2 {
		t.Errorf("%d of %d segments are new, want 2: the index, and that of the file; %d bytes were read", fresh, len(after.Segments), read)
	}
	wantSame(t, source, mounted(t, after, payload))
}
