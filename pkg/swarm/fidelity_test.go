package swarm_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/treetest"
)

// TestTreeGoesThroughTheSwarm packs a tree on XFS with one of everything, sends it from a head to a node, unpacks it there on
// tmpfs, ext4 and XFS, and lets foreign programs look for a difference.
func TestTreeGoesThroughTheSwarm(t *testing.T) {
	testenv.Root(t)
	// XFS, since it is the file system of most heads and has ways of its own.
	source, dir := filepath.Join(mounted(t, "xfs"), "root"), t.TempDir()
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	treetest.Fill(t, source)
	m, err := release.Pack(t.Context(), release.Options{Tree: source, PayloadDir: dir, KernelVersion: "6.1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Segments) < 3 || len(m.Hardlinks) == 0 {
		t.Fatalf("%d segments, links between them %v: the tree tries too little", len(m.Segments), m.Hardlinks)
	}
	p := released(t, m, dir)
	h := newHead(t, dir, p)
	h.offers(t, p, m.Size())
	n := h.boot(t, "127.0.0.2", p)
	if got := n.complete(t); got.FromHead < got.Total {
		t.Errorf("of %d bytes, %d came through the swarm", got.Total, got.FromHead)
	}
	for _, kind := range []string{"tmpfs", "ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			root := filepath.Join(mounted(t, kind), "root")
			if err := os.Mkdir(root, 0o700); err != nil {
				t.Fatal(err)
			}
			unpacked(t, m, n.dir, root)
			found := append(treetest.Differences(t, source, root), treetest.Holes(t, source, root)...)
			if len(found) > 0 {
				t.Errorf("differs:\n%s", strings.Join(found, "\n"))
			}
			if _, err := unix.Lgetxattr(filepath.Join(root, "etc/group"), "trusted.SGI_ACL_FILE", nil); kind != "xfs" && err == nil {
				t.Error("the access list as XFS has it came along")
			}
			if err := treetest.Spoils[0].Do(root); err != nil {
				t.Fatal(err)
			}
			if len(treetest.Differences(t, source, root)) == 0 {
				t.Errorf("%s made wrong is not found", treetest.Spoils[0].What)
			}
		})
	}
}

// released is a release as a seeder sees it.
func released(t *testing.T, m *release.Manifest, dir string) payload {
	t.Helper()
	torrent, hash, err := release.Torrent(m, dir)
	if err != nil {
		t.Fatal(err)
	}
	p := payload{dir: dir, torrent: torrent, hash: swarm.InfoHash(hash), size: m.Size()}
	for _, s := range m.Segments {
		p.segments = append(p.segments, s.Digest.Hex())
	}
	return p
}

// unpacked unpacks a release, its last segment first.
func unpacked(t *testing.T, m *release.Manifest, dir, root string) {
	t.Helper()
	u := release.NewUnpacker(root, m)
	g, ctx := errgroup.WithContext(t.Context())
	for _, s := range slices.Backward(m.Segments) {
		g.Go(func() error { return unpackOne(ctx, u, s, dir) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := u.Finish(); err != nil {
		t.Fatal(err)
	}
	if refused := u.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

func unpackOne(ctx context.Context, u *release.Unpacker, s release.Segment, dir string) error {
	f, err := os.Open(filepath.Join(dir, s.Digest.Hex()))
	if err != nil {
		return err
	}
	return errors.Join(u.Segment(ctx, s, f), f.Close())
}

// mounted returns where an empty file system of a kind is mounted until the test ends.
func mounted(t *testing.T, kind string) string {
	t.Helper()
	if kind == "tmpfs" {
		return testenv.SmallDisk(t, "512m").Dir
	}
	file, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 512<<20); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{testenv.Program(t, "mkfs."+kind), "-q", file}, {"mount", "-o", "loop", file, dir}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
