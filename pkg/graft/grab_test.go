package graft_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/graft"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/treetest"
)

// grab brings what is below from into to, over a pipe.
func grab(t *testing.T, from, to string, change func(*graft.Grab)) (graft.Result, error) {
	t.Helper()
	g := graft.Grab{Dir: to, Filesystems: []string{"/", "/boot"}, Exclude: "/proc/*\n/etc/machine-id\nssh_host_*\n",
		Phase: func(string, string) {}, Progress: func(_, _ int64) {}}
	if change != nil {
		change(&g)
	}
	here, there := io.Pipe()
	back, forth := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := graft.Serve(t.Context(), from, graft.NewLine(back, there))
		there.CloseWithError(err)
		ended <- err
	}()
	r, err := g.Run(t.Context(), graft.NewLine(here, forth))
	forth.Close()
	here.Close()
	<-ended
	return r, err
}

// differences asks rsync in what two trees differ.
func differences(t *testing.T, from, to string, exclude ...string) string {
	t.Helper()
	args := []string{from, to}
	for _, e := range exclude {
		args = append(args, "--exclude="+e)
	}
	return testenv.Shell(t, `from=$1 to=$2; shift 2; rsync -aHAXSxni --delete --numeric-ids "$@" "$from/" "$to/"`, args...)
}

var leftOut = []string{"/proc/*", "/etc/machine-id", "ssh_host_*"}

func wantSame(t *testing.T, from, to string) {
	t.Helper()
	if out := differences(t, from, to, leftOut...); out != "" {
		t.Errorf("rsync would still change:\n%s", out)
	}
	// rsync asks size and time only; this reads.
	out := testenv.Shell(t, `cd "$1"; find . -type f ! -name machine-id ! -name 'ssh_host_*' -print0 | sort -z | xargs -0 sha256sum >"$3"; cd "$2"; sha256sum --quiet -c "$3" || true`,
		from, to, filepath.Join(t.TempDir(), "sums"))
	if out != "" {
		t.Errorf("contents differ:\n%s", out)
	}
}

func TestGrabMakesTheSameTree(t *testing.T) {
	from, to := t.TempDir(), image(t)
	treetest.System(t, from)
	r, err := grab(t, from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, from, to)
	if len(r.Refused)+len(r.Vanished)+len(r.Unsteady) > 0 {
		t.Errorf("%v", r)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(to, "var/lib/app/sparse"), &st); err != nil || st.Blocks > 64 {
		t.Errorf("sparse file: %v, %d blocks", err, st.Blocks)
	}
	if _, err := os.Lstat(filepath.Join(to, "etc/machine-id")); !os.IsNotExist(err) {
		t.Errorf("machine-id came: %v", err)
	}
	if r, err = grab(t, from, to, nil); err != nil || len(r.Plan.Steps) != 0 {
		t.Errorf("a second grab: %v, %v", r.Plan.Steps, err)
	}
}

// image is a directory beside which nothing is.
func image(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return dir
}

// changes are all ways in which names of a tree change.
const changes = `cd "$1"
echo more >>var/log/messages; echo same >etc/first; rm etc/second; ln etc/passwd etc/second
touch usr/share/doc/1; chmod 0600 usr/share/doc/2; chown 9:9 usr/share/doc/3; setfattr -n user.new -v 1 usr/share/doc/4
setfattr -x user.a=b% etc/passwd; setcap -r usr/bin/ping; setfacl -b etc/passwd; setfacl -k srv/shared; setfattr -n trusted.mark -v 7 srv
rm -r usr/share/doc/5 usr/share/?mlaut; rm srv/pipe; mkdir srv/pipe; echo in >srv/pipe/file
rm -r home; ln -s /var/home home; rm etc/absolute; echo file >etc/absolute; ln -sfn other etc/dangling-again
rm usr/bin/su-again; cp -a usr/bin/su usr/bin/su-again; rm srv/null; mknod srv/null c 1 5
mkdir -p new/deep/er; echo x >new/deep/er/file; mv usr/share/doc/6 usr/share/doc/six; ln usr/share/doc/7 usr/share/doc/seven
`

func TestGrabBringsWhatChanged(t *testing.T) {
	from, to := t.TempDir(), image(t)
	treetest.System(t, from)
	if _, err := grab(t, from, to, nil); err != nil {
		t.Fatal(err)
	}
	testenv.Shell(t, `echo mine >"$1/etc/machine-id"; mkdir "$1/home/x"; echo local >"$1/home/x/y"; echo p >"$1/proc/kept"`, to)
	ctime := stat(t, filepath.Join(to, "usr/share/doc/50"))
	testenv.Shell(t, changes, from)
	before := differences(t, from, to, leftOut...)
	dry, err := grab(t, from, to, func(g *graft.Grab) { g.DryRun = true })
	if err != nil || len(dry.Plan.Steps) < 20 {
		t.Fatalf("%v, %d steps", err, len(dry.Plan.Steps))
	}
	if after := differences(t, from, to, leftOut...); after != before {
		t.Errorf("a dry run changed something:\n%s\nwas\n%s", after, before)
	}
	r, err := grab(t, from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, from, to)
	if r.Plan.Bytes > 200_000 {
		t.Errorf("%d bytes came for a few small changes", r.Plan.Bytes)
	}
	if got := stat(t, filepath.Join(to, "usr/share/doc/50")); got != ctime {
		t.Errorf("a file that did not change was touched: %v, was %v", got, ctime)
	}
	for name, want := range map[string]string{"etc/machine-id": "mine\n", "proc/kept": "p\n"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != want {
			t.Errorf("%s, which is left out: %q, %v", name, got, err)
		}
	}
	if !strings.Contains(lines(r.Plan), "~ etc/passwd (") {
		t.Errorf("the plan does not tell of etc/passwd:\n%s", lines(r.Plan))
	}
}

func lines(p *graft.Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		b.WriteString(s.Line() + "\n")
	}
	return b.String()
}

// stat returns inode and ctime of a path.
func stat(t *testing.T, path string) [3]int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return [3]int64{int64(st.Ino), st.Ctim.Sec, st.Ctim.Nsec}
}

// TestExcludeWinsOverFilesystems names file systems that the exclude lines cover: they are neither brought nor taken away,
// and are told.
func TestExcludeWinsOverFilesystems(t *testing.T) {
	testenv.Root(t)
	from := t.TempDir()
	testenv.Shell(t, `cd "$1"; mkdir -p boot srv/data; mount -t tmpfs luna-test boot; echo new >boot/vmlinuz; echo new >srv/data/file; echo new >motd`, from)
	t.Cleanup(func() { testenv.Shell(t, `umount "$1/boot"`, from) })
	for _, c := range []struct{ exclude, covered, want string }{
		{"", "", "boot/old=- boot/vmlinuz=new srv/data/file=new"},
		{"/boot", "/boot", "boot/old=old boot/vmlinuz=- srv/data/file=new"},
		{"boot/\n/srv/", "/boot /srv/data", "boot/old=old boot/vmlinuz=- srv/data/file=old"},
		{"/srv/*", "/srv/data", "boot/old=- boot/vmlinuz=new srv/data/file=old"},
		{"/boot/*", "", "boot/old=old boot/vmlinuz=- srv/data/file=new"},
		{"+ /boot\n/boot", "", "boot/old=- boot/vmlinuz=new srv/data/file=new"},
	} {
		to := image(t)
		testenv.Shell(t, `cd "$1"; mkdir -p boot srv/data; echo old >boot/old; echo old >srv/data/file`, to)
		r, err := grab(t, from, to, func(g *graft.Grab) {
			g.Filesystems, g.Exclude = []string{"/", "/boot", "/srv/data"}, c.exclude
		})
		if got := strings.Join(r.Covered, " "); err != nil || got != c.covered {
			t.Errorf("%q: %v, covered %q, want %q", c.exclude, err, got, c.covered)
		}
		var got []string
		for _, name := range []string{"boot/old", "boot/vmlinuz", "srv/data/file"} {
			text, err := os.ReadFile(filepath.Join(to, name))
			if err != nil {
				text = []byte("-")
			}
			got = append(got, name+"="+strings.TrimSpace(string(text)))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%q: %s, want %s", c.exclude, got, c.want)
		}
	}
}

// TestBrokenGrabLeavesTheTree cuts the connection after each number of bytes.
func TestBrokenGrabLeavesTheTree(t *testing.T) {
	from, to := t.TempDir(), image(t)
	treetest.System(t, from)
	testenv.Shell(t, `mkdir "$1/etc"; echo old >"$1/etc/passwd"; echo gone >"$1/gone"`, to)
	before := differences(t, from, to)
	for _, after := range []int64{0, 1, 1000, 10_000, 60_000, 150_000} {
		g := graft.Grab{Dir: to, Filesystems: []string{"/"}, Phase: func(string, string) {}, Progress: func(_, _ int64) {}}
		here, there := io.Pipe()
		back, forth := io.Pipe()
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- graft.Serve(ctx, from, graft.NewLine(back, there)) }()
		go func() { <-ctx.Done(); there.CloseWithError(io.ErrUnexpectedEOF) }()
		_, err := g.Run(ctx, graft.NewLine(&cutting{here, after, cancel}, forth))
		cancel()
		forth.Close()
		here.Close()
		<-ended
		if err == nil {
			t.Errorf("cut after %d bytes: no error", after)
		}
		if now := differences(t, from, to); now != before {
			t.Errorf("cut after %d bytes: the tree changed:\n%s", after, now)
		}
	}
}

// cutting is a connection that breaks.
type cutting struct {
	io.Reader
	left int64
	cut  func()
}

func (c *cutting) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.cut()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Reader.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
