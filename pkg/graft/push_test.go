package graft_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/graft"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/treetest"
)

// releases are two releases of one image, and a node that was installed with the first.
type releases struct {
	*testing.T
	payload, image, node string
	lock                 string
	begun                int
	old, new             *release.Manifest
}

// upgrade is what the second release has otherwise.
const upgrade = `cd "$1"
echo new >etc/motd; echo changed >>etc/passwd; chmod 0711 usr/share/doc/1; rm usr/share/doc/2; rm -r usr/share/?mlaut
mkdir -p opt/new; echo x >opt/new/file; head -c 9000 /dev/urandom >usr/bin/su; rm srv/pipe; ln -s x srv/pipe; rm etc/second; cp etc/first etc/second
setcap cap_net_admin=ep usr/bin/ping; echo host >etc/hostname; mkdir -p data; echo d >data/kept; rm boot/vmlinuz-6.1; echo k >boot/vmlinuz-6.2
rm srv/disk; mkdir srv/disk; echo in >srv/disk/file; mkfifo etc/fifo; ln usr/share/doc/3 etc/three`

func newReleases(t *testing.T) *releases {
	t.Helper()
	r := &releases{T: t, payload: t.TempDir(), image: t.TempDir(), node: t.TempDir(), lock: filepath.Join(t.TempDir(), "lock")}
	treetest.System(t, r.image)
	testenv.Shell(t, `echo one >"$1/etc/hostname"`, r.image)
	r.old = r.pack()
	r.install()
	testenv.Shell(t, upgrade, r.image)
	r.new = r.pack()
	return r
}

func (r *releases) pack() *release.Manifest {
	r.Helper()
	m, err := release.Pack(r.Context(), release.Options{Tree: r.image, PayloadDir: r.payload, KernelVersion: "6.1"})
	if err != nil {
		r.Fatal(err)
	}
	return m
}

func (r *releases) install() {
	r.Helper()
	u := release.NewUnpacker(r.node, r.old)
	for _, s := range r.old.Segments {
		f, err := os.Open(filepath.Join(r.payload, s.Digest.Hex()))
		if err != nil {
			r.Fatal(err)
		}
		defer f.Close()
		if err := u.Segment(r.Context(), s, f); err != nil {
			r.Fatal(err)
		}
	}
	if err := u.Finish(); err != nil {
		r.Fatal(err)
	}
	// What the node made itself.
	testenv.Shell(r, `cd "$1"; echo node001 >etc/hostname; echo log >var/log/own; echo y >usr/share/doc/own; echo id >etc/machine-id; echo edited >>usr/share/doc/9
mkdir -p var/lib/own; echo db >var/lib/own/db; echo key >etc/ssh/ssh_host_rsa_key`, r.node)
}

// push brings the node from one release to another.
func (r *releases) push(from, to *release.Manifest, change func(*graft.Push)) (graft.Report, error) {
	r.Helper()
	p := graft.Push{Order: graft.Order{Release: "sha256:x", Exclude: "/etc/hostname\n/etc/machine-id\n"},
		Changes: func(graft.System) ([]release.Changed, error) {
			return release.Changes(r.Context(), r.payload, from, to)
		},
		Content: func() (io.ReadCloser, error) {
			wanted := map[string]bool{}
			all, err := release.Changes(r.Context(), r.payload, from, to)
			for _, c := range all {
				wanted[c.Header.Name] = !c.Gone
			}
			in, out := io.Pipe()
			go func() { out.CloseWithError(release.Extract(context.Background(), r.payload, to, from, wanted, out)) }()
			return in, err
		}}
	if change != nil {
		change(&p)
	}
	here, there := io.Pipe()
	back, forth := io.Pipe()
	ended := make(chan error, 1)
	live := graft.Live{Root: r.node, Lock: r.lock, Told: func() (graft.System, error) { return graft.System{Kernel: "6.1"}, nil },
		Begin: func(string) error { r.begun++; return nil }, Done: func(string) error { return nil }}
	go func() {
		err := live.Receive(r.Context(), graft.NewLine(back, there))
		there.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		back.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		ended <- err
	}()
	_, rep, err := p.Run(graft.NewLine(here, forth))
	forth.Close()
	here.Close()
	<-ended
	return rep, err
}

// own is what the node has and no release knows, or has otherwise.
var own = []string{"/etc/hostname", "/etc/machine-id", "/var/log/own", "/usr/share/doc/own", "/usr/share/doc/9", "/var/lib/own", "/etc/ssh/ssh_host_rsa_key", "/dev/*", "/run/*"}

// wantAt compares the node with what a release unpacks to.
func (r *releases) wantAt(m *release.Manifest) {
	r.Helper()
	pure := &releases{T: r.T, payload: r.payload, node: r.TempDir(), old: m}
	pure.install()
	// Directories in which the node made something have its times.
	if out := differences(r.T, pure.node, r.node, own...); strings.Trim(out, "\n") != "" {
		for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
			if !strings.HasPrefix(line, ".d..t......") {
				r.Errorf("rsync would still change %s", line)
			}
		}
	}
	for name, want := range map[string]string{"etc/hostname": "node001\n", "etc/machine-id": "id\n", "var/log/own": "log\n", "usr/share/doc/own": "y\n", "var/lib/own/db": "db\n"} {
		if got, err := os.ReadFile(filepath.Join(r.node, name)); err != nil || string(got) != want {
			r.Errorf("%s, the node's own: %q, %v", name, got, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(r.node, ".luna*")); err != nil || len(left) > 0 {
		r.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPushBringsARelease(t *testing.T) {
	r := newReleases(t)
	untouched := stat(t, filepath.Join(r.node, "usr/share/doc/50"))
	edited := stat(t, filepath.Join(r.node, "usr/share/doc/9"))
	dry, err := r.push(r.old, r.new, func(p *graft.Push) { p.Order.DryRun = true })
	if err != nil || dry.Created < 5 || dry.Deleted < 3 || !strings.Contains(strings.Join(dry.Lines, "\n"), "+ opt/new/file\n") {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	r.wantAt(r.old)
	rep, err := r.push(r.old, r.new, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.wantAt(r.new)
	if rep.Created != dry.Created || rep.Changed != dry.Changed || rep.Deleted != dry.Deleted {
		t.Errorf("%+v, the dry run said %+v", rep, dry)
	}
	for name, was := range map[string][3]int64{"usr/share/doc/50": untouched, "usr/share/doc/9": edited} {
		if now := stat(t, filepath.Join(r.node, name)); now != was {
			t.Errorf("%s, which both releases hold alike, was touched", name)
		}
	}
	if again, err := r.push(r.old, r.new, func(p *graft.Push) { p.Order.DryRun = true }); err != nil || again.Created+again.Changed+again.Deleted != 0 {
		t.Errorf("a second push: %+v, %v", again, err)
	}
	if _, err := r.push(r.new, r.old, nil); err != nil {
		t.Fatal(err)
	}
	r.wantAt(r.old)
}

// TestBrokenPushLeavesTheNode has the content end early, and be nothing at all.
func TestBrokenPushLeavesTheNode(t *testing.T) {
	r := newReleases(t)
	for _, content := range []io.Reader{strings.NewReader(""), strings.NewReader("no tar"), io.MultiReader(strings.NewReader("\x28\xb5\x2f\xfd"), failing{})} {
		if rep, err := r.push(r.old, r.new, func(p *graft.Push) {
			p.Content = func() (io.ReadCloser, error) { return io.NopCloser(content), nil }
		}); err == nil {
			t.Errorf("no error, %+v", rep)
		}
		r.wantAt(r.old)
	}
	if _, err := r.push(r.old, r.new, func(p *graft.Push) {
		p.Changes = func(graft.System) ([]release.Changed, error) { return nil, errors.New("not kept") }
	}); err == nil || !strings.Contains(err.Error(), "not kept") {
		t.Errorf("%v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is broken") }

// TestNodesOwnFilesAreNotReplaced wants a file where the node has a directory with files of its own.
func TestNodesOwnFilesAreNotReplaced(t *testing.T) {
	r := newReleases(t)
	testenv.Shell(t, `rm "$1/srv/null"; mkdir "$1/srv/null"; echo mine >"$1/srv/null/file"; rm -r "$2/srv/null"; echo x >"$2/srv/null"`, r.node, r.image)
	if _, err := r.push(r.old, r.pack(), nil); err == nil || !strings.Contains(err.Error(), "srv/null shall be a file, and is a directory in which this system has srv/null/file") {
		t.Errorf("%v", err)
	}
	r.wantOwn("srv/null/file", "mine\n")
}

// TestNodesOwnLinkStays has the node's own link where both releases have a directory: it stays, and so does what is
// behind it, while all else is brought.
func TestNodesOwnLinkStays(t *testing.T) {
	r := newReleases(t)
	testenv.Shell(t, `cd "$1"; mkdir -p mnt; mv usr/share/doc mnt/doc; ln -s /mnt/doc usr/share/doc; echo own >mnt/doc/own`, r.node)
	rep, err := r.push(r.old, r.new, nil)
	if err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(r.node, "usr/share/doc")); err != nil || target != "/mnt/doc" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	for _, name := range []string{"usr/share/doc", "usr/share/doc/1"} {
		if !slices.Contains(rep.Kept, name) {
			t.Errorf("%s is not told of: %q", name, rep.Kept)
		}
	}
	r.wantOwn("mnt/doc/own", "own\n")
	r.wantOwn("etc/motd", "new\n")
	if _, err := os.Stat(filepath.Join(r.node, "srv/disk/file")); err != nil {
		t.Errorf("a directory of the new release in the place of a device: %v", err)
	}
}

// TestContentIsWhatCounts has a file of the new one's size and time with another content.
func TestContentIsWhatCounts(t *testing.T) {
	r := newReleases(t)
	testenv.Shell(t, `printf 'odd\n' >"$1/etc/motd"; touch -r "$2/etc/motd" "$1/etc/motd"`, r.node, r.image)
	if _, err := r.push(r.old, r.new, nil); err != nil {
		t.Fatal(err)
	}
	r.wantOwn("etc/motd", "new\n")
	if r.begun != 1 {
		t.Errorf("the push began %d times", r.begun)
	}
}

// TestSecondPushIsRefused has the lock held by another push.
func TestSecondPushIsRefused(t *testing.T) {
	r := newReleases(t)
	other, err := os.Create(r.lock)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := r.push(r.old, r.new, nil); err == nil || !strings.Contains(err.Error(), "another push to this system goes on") {
		t.Errorf("%v", err)
	}
	r.wantAt(r.old)
}

func (r *releases) wantOwn(name, want string) {
	r.Helper()
	if got, err := os.ReadFile(filepath.Join(r.node, name)); err != nil || string(got) != want {
		r.Errorf("%s: %q, %v", name, got, err)
	}
}
