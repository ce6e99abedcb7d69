package chroot

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// runner has the test binary call Run, as a process that can be killed.
const runner = "LUNA_CHROOT_RUN"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == Inside {
		Enter(os.Args[2:])
	}
	if root := os.Getenv(runner); root != "" {
		status, err := Run(Options{Root: root, Release: release, Command: []string{"sh", "-c", "echo up; sleep 1000 & wait"}, Out: os.Stdout, Err: os.Stderr})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(status)
	}
	os.Exit(m.Run())
}

const release = "5.14.0-503.el9.x86_64"

// image is a directory with a shell.
type image struct {
	*testing.T
	root string
}

func newImage(t *testing.T) image {
	testenv.Root(t)
	busybox := testenv.Program(t, "busybox")
	i := image{t, t.TempDir()}
	for _, dir := range []string{"bin", "proc", "sys", "dev", "run", "etc"} {
		must(t, os.Mkdir(filepath.Join(i.root, dir), 0o755))
	}
	i.copy(busybox, "bin/busybox")
	libraries, err := exec.Command("ldd", busybox).Output()
	must(t, err)
	for _, word := range strings.Fields(string(libraries)) {
		if filepath.IsAbs(word) {
			i.copy(word, word)
		}
	}
	for _, name := range []string{"sh", "uname", "cat", "sleep", "mount", "ps"} {
		must(t, os.Symlink("busybox", filepath.Join(i.root, "bin", name)))
	}
	return i
}

func (i image) copy(from, to string) {
	data, err := os.ReadFile(from)
	must(i.T, err)
	to = filepath.Join(i.root, to)
	must(i.T, os.MkdirAll(filepath.Dir(to), 0o755))
	must(i.T, os.WriteFile(to, data, 0o755))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sh runs a script in the image and returns what it says.
func (i image) sh(script, in string, want int) string {
	i.Helper()
	var out bytes.Buffer
	status, err := Run(Options{Root: i.root, Release: release, Command: []string{"sh", "-c", script}, In: strings.NewReader(in), Out: &out, Err: &out})
	must(i.T, err)
	if status != want {
		i.Errorf("%s: exit status %d, want %d: %s", script, status, want, &out)
	}
	return out.String()
}

func TestUname(t *testing.T) {
	i := newImage(t)
	if got := i.sh("for i in 1 2 3; do uname -r; done; cat /proc/self/comm", "", 0); got != strings.Repeat(release+"\n", 3)+"cat\n" {
		t.Errorf("got %q", got)
	}
	here, err := exec.Command("uname", "-snvm").Output()
	must(t, err)
	if got := i.sh("uname -snvm", "", 0); got != string(here) {
		t.Errorf("all else is %q, here %q", got, here)
	}
}

func TestStatusAndInput(t *testing.T) {
	i := newImage(t)
	i.sh("exit 7", "", 7)
	i.sh("kill -9 $$", "", 137)
	if got := i.sh("cat; echo $HOME $PATH", "from outside\n", 0); got != "from outside\n/root "+searchPath+"\n" {
		t.Errorf("got %q", got)
	}
	if got := i.sh("nosuch", "", 127); !strings.Contains(got, "not found") {
		t.Errorf("got %q", got)
	}
	var out bytes.Buffer
	if status, err := Run(Options{Root: i.root, Command: []string{"nosuch"}, Err: &out}); status != 1 || err != nil || !strings.Contains(out.String(), "the image has no program nosuch") {
		t.Errorf("status %d, %v: %s", status, err, &out)
	}
}

func TestMounts(t *testing.T) {
	i := newImage(t)
	must(t, os.Symlink("../run/resolver/resolv.conf", filepath.Join(i.root, "etc/resolv.conf")))
	got := i.sh("cat /proc/mounts; echo; echo; cat /etc/resolv.conf; echo left >/run/left", "", 0)
	for _, want := range []string{" / ", " /proc proc ", " /sys sysfs ", " /dev ", " /run tmpfs "} {
		if !strings.Contains(got, want) {
			t.Errorf("no%s in\n%s", want, got)
		}
	}
	if conf, err := os.ReadFile("/etc/resolv.conf"); err == nil && !strings.HasSuffix(got, "\n\n"+string(conf)) {
		t.Errorf("the resolver's file is not this machine's:\n%s", got)
	}
	i.untouched()
}

func TestWhatIsLeftRunningEnds(t *testing.T) {
	i := newImage(t)
	i.sh("sleep 1000 & sleep 1000 & exit 0", "", 0)
	i.untouched()
}

func TestKilled(t *testing.T) {
	i := newImage(t)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), runner+"="+i.root)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line := make([]byte, 3)
	if _, err := out.Read(line); err != nil || string(line) != "up\n" {
		t.Errorf("heard %q, %v", line, err)
	}
	if len(i.inside()) == 0 {
		t.Error("nobody is in the image")
	}
	must(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait() // it was killed
	i.untouched()
}

// untouched fails unless the image is as it was: nobody in it, nothing mounted, nothing in /run.
func (i image) untouched() {
	i.Helper()
	for range 500 {
		if len(i.inside()) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if left := i.inside(); len(left) > 0 {
		i.Errorf("left running: %v", left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(i.T, err)
	if strings.Contains(string(mounts), i.root) {
		i.Errorf("left mounted:\n%s", mounts)
	}
	if left, err := os.ReadDir(filepath.Join(i.root, "run")); err != nil || len(left) > 0 {
		i.Errorf("left in /run: %v, %v", left, err)
	}
}

// inside lists the processes whose root is the image.
func (i image) inside() (pids []string) {
	roots, err := filepath.Glob("/proc/[0-9]*/root")
	must(i.T, err)
	for _, link := range roots {
		if to, err := os.Readlink(link); err == nil && to == i.root {
			pids = append(pids, link)
		}
	}
	return pids
}
