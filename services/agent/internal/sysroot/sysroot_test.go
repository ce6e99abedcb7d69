package sysroot

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/testenv"
)

func TestParseMounts(t *testing.T) {
	got, err := parseMounts(strings.NewReader(
		"22 28 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n" +
			"30 28 0:26 / /mnt/a\\040b rw - tmpfs tmpfs rw,size=1k\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []Mount{{"/sys", "sysfs", "sysfs"}, {"/mnt/a b", "tmpfs", "tmpfs"}}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if _, err := parseMounts(strings.NewReader("22 28\n")); err == nil {
		t.Error("a line that is cut off was accepted")
	}
}

func TestBelow(t *testing.T) {
	for point, want := range map[string]bool{"/sysroot": true, "/sysroot/boot": true, "/sysroot2": false, "/": false} {
		if below(point, "/sysroot") != want {
			t.Errorf("below(%q) is %t", point, !want)
		}
	}
}

func TestSwaps(t *testing.T) {
	got := swaps("Filename\t\tType\tSize\n/dev/sda2   partition\t1024\t0\t-2\n/swap\\040file file 1 0 -3\n")
	if want := []string{"/dev/sda2", "/swap file"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestCheck(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	need := Need{Image: "compute", Unpacked: 2 * gib, Payload: gib}
	files, small := need, Need{Image: "compute", Payload: 400 * mib, Compressed: true}
	files.Files = 1 << 20
	part := need
	part.AtOnce = gib / 10
	for _, c := range []struct {
		space Space
		need  Need
		want  string
	}{
		{Space{Free: 2 * gib, Memory: 11*gib/10 + 1}, need, ""},
		{Space{Free: gib, Memory: 9 * gib}, need, "/sysroot has room for 1.0 GiB, image compute unpacked is 2.0 GiB"},
		{Space{Free: 9 * gib, Memory: gib / 2, Total: gib}, need, "image compute needs 1.1 GiB of memory (while it arrives), this machine has 1.0 GiB of which 512.0 MiB are free"},
		{Space{Free: 9 * gib, Memory: 32 * gib / 10, InMemory: true}, need, ""},
		{Space{Free: 9 * gib, Memory: 2 * gib, Total: 3 * gib, InMemory: true}, need, "image compute needs 3.1 GiB of memory (2.0 GiB in /sysroot, 1.1 GiB while it arrives), this machine has 3.0 GiB of which 2.0 GiB are free"},
		{Space{Free: 9 * gib, Memory: 4 * gib, Total: 5 * gib, InMemory: true}, files, "image compute needs 4.1 GiB of memory (3.0 GiB in /sysroot, 1.1 GiB while it arrives), this machine has 5.0 GiB of which 4.0 GiB are free"},
		{Space{Free: 9 * gib, Memory: 22*gib/10 + 1, Total: 3 * gib, InMemory: true}, part, ""},
		{Space{Free: 9 * gib, Memory: 21 * gib / 10, Total: 3 * gib, InMemory: true}, part, "image compute needs 2.2 GiB of memory (2.0 GiB in /sysroot, 204.8 MiB while it arrives), this machine has 3.0 GiB of which 2.1 GiB are free"},
		{Space{Free: gib, Memory: 148 * mib, Total: gib}, Need{Payload: 100 * mib}, ""},
		{Space{Free: gib, Memory: 147 * mib, Total: gib}, Need{Image: "small", Payload: 100 * mib}, "image small needs 148.0 MiB of memory (while it arrives), this machine has 1.0 GiB of which 147.0 MiB are free"},
		{Space{}, Need{}, ""},
		{Space{Memory: 528 * mib, Total: gib}, small, ""},
		{Space{Memory: 527 * mib, Total: gib}, small, "image compute needs 528.0 MiB of memory (400.0 MiB compressed, 128.0 MiB for what is written and runs), this machine has 1.0 GiB of which 527.0 MiB are free"},
	} {
		got := ""
		if err := c.space.Check("/sysroot", c.need); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.space, got, c.want)
		}
	}
}

func TestAvailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meminfo")
	for text, want := range map[string]int64{
		"MemTotal:  100 kB\nMemAvailable:     64 kB\n": 64 << 10, "MemTotal: 1 kB\n": 0,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := meminfo(path, "MemAvailable"); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// apart runs the rest of a test in a mount namespace of its own.
func apart(t *testing.T) {
	t.Helper()
	testenv.Root(t)
	// The thread is never unlocked: it ends with the test and takes its mounts along.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		testenv.Lacks(t, "no mount namespaces here: ", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		testenv.Lacks(t, "mounts cannot be made private: ", err)
	}
}

func mount(t *testing.T, dir, data string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, data); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func TestMeasureAndClear(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sys root")
	apart(t)
	if _, err := Measure(dir); err == nil || !strings.Contains(err.Error(), "nothing is mounted on "+dir) {
		t.Errorf("measure of no mount gave %v", err)
	}
	mount(t, dir, "size=1m")
	mount(t, dir+"/boot", "size=1m")
	mount(t, dir, "size=2m")
	s, err := Measure(dir)
	if err != nil || !s.InMemory || s.Free != 2<<20 || s.Memory == 0 {
		t.Errorf("measure: %+v, %v", s, err)
	}
	busy, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := unmountWhere(func(m Mount) bool { return below(m.Point, dir) }); err != nil {
		t.Fatal(err)
	}
	if mounted, err := IsMount(dir); mounted || err != nil {
		t.Errorf("after clearing mounted is %t, %v", mounted, err)
	}
}

func TestEmptyKeepsOtherFileSystems(t *testing.T) {
	dir := t.TempDir()
	apart(t)
	root := dir + "/root"
	mount(t, root, "")
	mount(t, root+"/a/other", "")
	for _, name := range []string{"a/file", "a/other/kept", "b/c/d"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", root+"/link"); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := empty(f, device(f)); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(root + "/*")
	if kept := root + "/a/other/kept"; !slices.Equal(left, []string{root + "/a"}) {
		t.Errorf("left are %q", left)
	} else if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestSwitchRefusesAnythingButAnInitrd(t *testing.T) {
	if _, err := Switch(nil, t.TempDir(), []string{"/sbin/init"}, nil); err == nil || !strings.Contains(err.Error(), "this is no initrd") {
		t.Errorf("got %v", err)
	}
}

func TestHasInit(t *testing.T) {
	_, dir := system(t, map[string]string{"sbin": "->usr/sbin", "usr/sbin/init": "->/lib/systemd/systemd", "lib/systemd/systemd": "x"})
	if err := hasInit(dir, "/sbin/init"); err != nil {
		t.Error(err)
	}
	if err := hasInit(dir, "/bin/other"); err == nil || !strings.Contains(err.Error(), "has no /bin/other") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(dir+"/lib/systemd/systemd", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := hasInit(dir, "/sbin/init"); err == nil || !strings.Contains(err.Error(), "is no program") {
		t.Errorf("got %v", err)
	}
}

func TestMoveAllOrNone(t *testing.T) {
	dir := t.TempDir()
	apart(t)
	old, root := kept, dir+"/root"
	kept = []string{dir + "/a", dir + "/none", dir + "/b"}
	defer func() { kept = old }()
	for _, point := range []string{root, dir + "/a", dir + "/b"} {
		mount(t, point, "")
	}
	in := filepath.Join(root, dir)
	if err := os.MkdirAll(in, 0o755); err != nil {
		t.Fatal(err)
	}
	// A file where a mount should go.
	if err := os.WriteFile(in+"/b", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := move(root); err == nil || !strings.Contains(err.Error(), "make a place for "+dir+"/b") {
		t.Errorf("got %v", err)
	}
	for point, want := range map[string]bool{dir + "/a": true, in + "/a": false} {
		if mounted, err := IsMount(point); err != nil || mounted != want {
			t.Errorf("%s is mounted: %t, %v", point, mounted, err)
		}
	}
	if err := os.Remove(in + "/b"); err != nil {
		t.Fatal(err)
	}
	if err := move(root); err != nil {
		t.Fatal(err)
	}
	for point, want := range map[string]bool{dir + "/a": false, in + "/a": true, in + "/b": true, in + "/none": false} {
		if mounted, err := IsMount(point); err != nil || mounted != want {
			t.Errorf("%s is mounted: %t, %v", point, mounted, err)
		}
	}
}
