package release_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
)

func pack(t testing.TB, opts release.Options) *release.Manifest {
	t.Helper()
	m, err := release.Pack(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unpack unpacks all segments at once, the last first.
func unpack(t testing.TB, m *release.Manifest, payload, root string) *release.Unpacker {
	t.Helper()
	u := release.NewUnpacker(root, m)
	g, ctx := errgroup.WithContext(t.Context())
	for i := len(m.Segments) - 1; i >= 0; i-- {
		g.Go(func() error { return unpackOne(ctx, u, m.Segments[i], payload) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := u.Finish(); err != nil {
		t.Fatal(err)
	}
	return u
}

func unpackOne(ctx context.Context, u *release.Unpacker, s release.Segment, payload string) error {
	f, err := os.Open(filepath.Join(payload, s.Digest.Hex()))
	if err != nil {
		return err
	}
	return errors.Join(u.Segment(ctx, s, f), f.Close())
}

// grow adds enough files that the tree has several segments, with hard links between them.
func grow(t testing.TB, root string) {
	t.Helper()
	tr := tree{t, root}
	for i := range 600 {
		tr.file(fmt.Sprintf("usr/share/d%02d/f%03d", i%20, i), noise(uint64(i)+100, 100_000))
	}
	tr.file("usr/lib/big", noise(99, 35<<20))
	tr.check(os.Link(tr.path("usr/share/d00/f000"), tr.path("etc/link-to-share")))
	tr.check(os.Link(tr.path("usr/share/d19/f599"), tr.path("usr/share/d19/z-link")))
	tr.times()
}

// later is a time at which everything made now has settled.
func later() time.Time { return time.Now().Add(time.Minute) }

func TestTreeSurvives(t *testing.T) {
	source, payload, result := newTree(t), t.TempDir(), t.TempDir()
	grow(t, source)
	m := pack(t, release.Options{Tree: source, PayloadDir: payload, KernelVersion: "6.1"})
	if len(m.Segments) < 4 || len(m.Hardlinks) == 0 {
		t.Fatalf("%d segments, links between them %v: the tree does not try enough", len(m.Segments), m.Hardlinks)
	}
	u := unpack(t, m, payload, result)
	wantSame(t, source, result)
	if refused := u.Refused(); len(refused) > 0 {
		t.Errorf("attributes refused: %v", refused)
	}
	if _, bytes := u.Stats(); bytes != m.Unpacked {
		t.Errorf("unpacked %d bytes, manifest says %d", bytes, m.Unpacked)
	}
	wantHoles(t, filepath.Join(result, "var/sparse"))
	wantOnlySegments(t, payload, m)
}

func wantHoles(t *testing.T, path string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Blocks*512 > 64<<10 {
		t.Errorf("%s takes %d bytes: its holes are gone", path, st.Blocks*512)
	}
}

func wantOnlySegments(t *testing.T, payload string, m *release.Manifest) {
	t.Helper()
	want := make(map[string]int64)
	for _, s := range m.Segments {
		want[s.Digest.Hex()] = s.Size
	}
	got := make(map[string]int64)
	files, err := os.ReadDir(payload)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		fi, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name()] = fi.Size()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("payload directory (-want +got):\n%s", diff)
	}
}

func TestUnpackTwice(t *testing.T) {
	source, payload, result := newTree(t), t.TempDir(), t.TempDir()
	m := pack(t, release.Options{Tree: source, PayloadDir: payload})
	unpack(t, m, payload, result)
	unpack(t, m, payload, result)
	wantSame(t, source, result)
}

func TestSameTreeSameBytes(t *testing.T) {
	source := newTree(t)
	grow(t, source)
	var first []byte
	for workers := 1; workers <= 3; workers++ {
		data, err := pack(t, release.Options{Tree: source, PayloadDir: t.TempDir(), Workers: workers}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		} else if !bytes.Equal(first, data) {
			t.Fatalf("with %d workers:\n%s\nwith one:\n%s", workers, data, first)
		}
	}
}

// TestOneChange packs again after one file changed: with an index and without, the same manifest, and one new segment.
func TestOneChange(t *testing.T) {
	source, payload := newTree(t), t.TempDir()
	grow(t, source)
	opts := release.Options{Tree: source, PayloadDir: payload, Index: filepath.Join(t.TempDir(), "index")}.At(later())
	before := pack(t, opts)
	tree{t, source}.file("usr/share/d07/f007", []byte("changed"))
	opts.PieceLength = before.PieceLength
	after := pack(t, opts)
	opts.Index = ""
	if diff := cmp.Diff(pack(t, opts), after, cmpopts.IgnoreUnexported(release.Manifest{})); diff != "" {
		t.Errorf("the index changes the result (-without +with):\n%s", diff)
	}
	old := make(map[release.Digest]bool)
	for _, s := range before.Segments {
		old[s.Digest] = true
	}
	fresh := 0
	for _, s := range after.Segments {
		if !old[s.Digest] {
			fresh++
		}
	}
	if fresh != 1 || len(after.Segments) != len(before.Segments) {
		t.Errorf("%d of %d segments are new, there were %d", fresh, len(after.Segments), len(before.Segments))
	}
}

// TestIndexSpares packs a tree whose files the index knows: nothing is read, so a segment that lies about its content
// stays.
func TestIndexSpares(t *testing.T) {
	source, payload := newTree(t), t.TempDir()
	opts := release.Options{Tree: source, PayloadDir: payload, Index: filepath.Join(t.TempDir(), "index")}.At(later())
	m := pack(t, opts)
	path := filepath.Join(payload, m.Segments[0].Digest.Hex())
	mark := time.Unix(1000, 0)
	if err := os.Chtimes(path, mark, mark); err != nil {
		t.Fatal(err)
	}
	opts.PieceLength = m.PieceLength
	again := pack(t, opts)
	if fi, err := os.Stat(path); err != nil || !fi.ModTime().Equal(mark) {
		t.Errorf("segment was written again: %v, %v", fi, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	lost := pack(t, opts)
	if !cmp.Equal(m.Segments, again.Segments) || !cmp.Equal(m.Segments, lost.Segments) {
		t.Errorf("segments %v, then %v, then %v", m.Segments, again.Segments, lost.Segments)
	}
	wantOnlySegments(t, payload, m)
}

func TestOtherPieceLength(t *testing.T) {
	source, payload, result := newTree(t), t.TempDir(), t.TempDir()
	grow(t, source)
	opts := release.Options{Tree: source, PayloadDir: payload, Index: filepath.Join(t.TempDir(), "index"), PieceLength: 64 << 10}.At(later())
	first := pack(t, opts)
	opts.PieceLength = 0
	second := pack(t, opts)
	if first.PieceLength != 64<<10 || second.PieceLength == first.PieceLength {
		t.Fatalf("piece lengths %d and %d", first.PieceLength, second.PieceLength)
	}
	opts.Index = ""
	opts.PayloadDir = t.TempDir()
	if whole := pack(t, opts); !cmp.Equal(whole.Segments, second.Segments) {
		t.Errorf("padded again: %v\nmade anew: %v", second.Segments, whole.Segments)
	}
	unpack(t, second, payload, result)
	wantSame(t, source, result)
}

func TestTorrent(t *testing.T) {
	source, payload := newTree(t), t.TempDir()
	grow(t, source)
	m := pack(t, release.Options{Tree: source, PayloadDir: payload})
	quick, hash, err := release.Torrent(m, payload)
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := release.ParseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	slow, _, err := release.Torrent(parsed, payload)
	if err != nil || !bytes.Equal(quick, slow) {
		t.Fatalf("torrent of the parsed manifest differs: %v", err)
	}
	mi, err := metainfo.Load(bytes.NewReader(quick))
	if err != nil {
		t.Fatal(err)
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		t.Fatal(err)
	}
	if mi.HashInfoBytes() != hash || info.Name != "luna" || info.PieceLength != m.PieceLength || mi.Announce != "" {
		t.Errorf("torrent %s %q %d %q", mi.HashInfoBytes(), info.Name, info.PieceLength, mi.Announce)
	}
	wantPieces(t, info, payload)
}

func wantPieces(t *testing.T, info metainfo.Info, payload string) {
	t.Helper()
	var all, want []byte
	for _, f := range info.Files {
		part, err := os.ReadFile(filepath.Join(payload, f.Path[0]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	for ; len(all) > 0; all = all[info.PieceLength:] {
		sum := sha1.Sum(all[:info.PieceLength])
		want = append(want, sum[:]...)
	}
	if !bytes.Equal(want, info.Pieces) {
		t.Error("piece hashes are wrong")
	}
}

func TestExclude(t *testing.T) {
	source, payload, result := newTree(t), t.TempDir(), t.TempDir()
	m := pack(t, release.Options{Tree: source, PayloadDir: payload, Exclude: []string{"/srv/s*", "usr/bin"}})
	unpack(t, m, payload, result)
	got := facts(t, result)
	for name, want := range map[string]bool{"srv": true, "srv/null": true, "srv/shared": false, "usr": true, "usr/bin": false, "usr/bin/su": false} {
		if _, ok := got[name]; ok != want {
			t.Errorf("%s unpacked: %v, want %v", name, ok, want)
		}
	}
	if _, err := release.Pack(t.Context(), release.Options{Tree: source, PayloadDir: payload, Exclude: []string{"a["}}); err == nil {
		t.Error("took a malformed pattern")
	}
}

func TestChangeWhilePacking(t *testing.T) {
	for name, change := range map[string]func(tree){
		"grows":    func(tr tree) { tr.file("usr/late", []byte("longer than before")) },
		"vanishes": func(tr tree) { tr.check(os.Remove(tr.path("usr/late"))) },
		"replaced": func(tr tree) {
			tr.check(os.Remove(tr.path("usr/late")))
			tr.check(os.Symlink("/etc/shadow", tr.path("usr/late")))
		},
		"mode": func(tr tree) { tr.check(os.Chmod(tr.path("usr/late"), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			tr, payload := tree{t, t.TempDir()}, t.TempDir()
			tr.file("etc/early", []byte("read first"))
			tr.file("usr/late", []byte("read later"))
			done := false
			_, err := release.Pack(t.Context(), release.Options{Tree: tr.root, PayloadDir: payload, Progress: func(_, _ int64) {
				if !done {
					done = true
					change(tr)
				}
			}})
			if err == nil || !strings.Contains(err.Error(), "usr") {
				t.Errorf("got %v, want an error that names the file or its directory", err)
			}
			wantOnlySegments(t, payload, &release.Manifest{})
		})
	}
}

func TestMountInTree(t *testing.T) {
	source, payload, result, copied := newTree(t), t.TempDir(), t.TempDir(), t.TempDir()
	mount := filepath.Join(source, "srv/shared")
	if err := unix.Mount(filepath.Join(source, "etc"), mount, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	}()
	var told []string
	tell := func(name string) { told = append(told, name) }
	m := pack(t, release.Options{Tree: source, PayloadDir: payload, Foreign: tell})
	unpack(t, m, payload, result)
	must(t, release.Copy(t.Context(), source, copied, nil, tell))
	for _, dir := range []string{result, copied} {
		if names, err := os.ReadDir(filepath.Join(dir, "srv/shared")); err != nil || len(names) != 0 {
			t.Errorf("mount point holds %v, %v", names, err)
		}
	}
	if !slices.Equal(told, []string{"srv/shared", "srv/shared"}) {
		t.Errorf("told of %q", told)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	tr, payload := tree{t, t.TempDir()}, t.TempDir()
	tr.file("a", noise(1, 1<<20))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := release.Pack(ctx, release.Options{Tree: tr.root, PayloadDir: payload, Progress: func(_, _ int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantOnlySegments(t, payload, &release.Manifest{})
}
