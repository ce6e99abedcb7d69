package release_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// tree is a directory under construction.
type tree struct {
	testing.TB
	root string
}

func (t tree) path(name string) string { return filepath.Join(t.root, name) }

func (t tree) check(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t tree) file(name string, content []byte) {
	t.Helper()
	t.check(os.MkdirAll(filepath.Dir(t.path(name)), 0o755))
	t.check(os.WriteFile(t.path(name), content, 0o644))
}

// noise is content that does not compress, the same for the same seed.
func noise(seed uint64, size int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	data := make([]byte, size)
	if _, err := rand.NewChaCha8(key).Read(data); err != nil {
		panic(err)
	}
	return data
}

// newTree makes a tree with one of everything.
func newTree(t testing.TB) string {
	t.Helper()
	testenv.Root(t)
	tr := tree{t, t.TempDir()}
	tr.file("etc/passwd", []byte("root:x:0:0::/root:/bin/bash\n"))
	tr.file("etc/machine-id", []byte("0123456789abcdef0123456789abcdef\n"))
	tr.file("var/lib/dbus/machine-id", []byte("0123456789abcdef0123456789abcdef\n"))
	tr.file("var/lib/systemd/random-seed", noise(1, 512))
	tr.file("var/lib/dhcp/dhclient.eth0.leases", []byte("lease {}\n"))
	tr.file("tmp/left", []byte("over"))
	tr.file("dev/shm/x", nil)
	tr.file("run/lock/y", nil)
	tr.file("proc/version", []byte("no"))
	tr.file("sys/kernel", nil)
	tr.file("empty", nil)
	tr.file("usr/bin/su", noise(2, 70_001))
	t.Cleanup(func() { unix.Umask(unix.Umask(0o022)) })
	tr.check(unix.Chmod(tr.path("usr/bin/su"), 0o4755))
	tr.check(os.Lchown(tr.path("usr/bin/su"), 17, 2_500_000))
	tr.check(unix.Chmod(tr.path("tmp"), 0o1777))
	tr.file("srv/shared/one", noise(3, 5000))
	tr.check(unix.Chmod(tr.path("srv/shared"), 0o2770))
	tr.check(os.Symlink("/etc/passwd", tr.path("etc/absolute")))
	tr.check(os.Symlink("../../outside", tr.path("etc/dangling")))
	tr.check(os.Lchown(tr.path("etc/dangling"), 5, 6))
	tr.check(os.Link(tr.path("usr/bin/su"), tr.path("usr/bin/su-again")))
	tr.check(os.Link(tr.path("etc/dangling"), tr.path("etc/dangling2")))
	tr.check(unix.Mknod(tr.path("srv/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	tr.check(unix.Mknod(tr.path("srv/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
	tr.check(unix.Mkfifo(tr.path("srv/pipe"), 0o640))
	tr.check(unix.Mknod(tr.path("srv/socket"), unix.S_IFSOCK|0o640, 0))
	tr.file("name\xff\xfe with\nnewline", []byte("odd"))
	tr.file("long/"+string(bytes.Repeat([]byte("d/"), 80))+string(bytes.Repeat([]byte("n"), 200)), []byte("deep"))
	tr.sparse("var/sparse", 40<<20)
	tr.attributes()
	tr.times()
	return tr.root
}

// sparse makes a file with a little data in the middle and at the end, and a hole at the beginning.
func (t tree) sparse(name string, size int64) {
	t.Helper()
	t.file(name, nil)
	f, err := os.OpenFile(t.path(name), os.O_WRONLY, 0)
	t.check(err)
	for _, off := range []int64{size / 2, size - 3} {
		_, err = f.WriteAt([]byte("abc"), off)
		t.check(err)
	}
	t.check(f.Close())
}

func (t tree) attributes() {
	t.Helper()
	capNetRaw := []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	acl := []byte{2, 0, 0, 0, // version, then tag, permissions, id
		1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 5, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255}
	t.file("usr/bin/ping", noise(4, 4096))
	for _, a := range []struct {
		name, attr string
		value      []byte
	}{
		{"usr/bin/ping", "security.capability", capNetRaw},
		{"usr/bin/ping", "security.selinux", []byte("system_u:object_r:ping_exec_t:s0\x00")},
		{"etc/passwd", "system.posix_acl_access", acl},
		{"etc/passwd", "user.equals=100%", []byte("a=b\nc\x00d")},
		{"etc/passwd", "user.empty", nil},
		{"srv/shared", "system.posix_acl_default", acl},
		{"srv/shared", "trusted.mark", []byte{0, 1, 2}},
		{"etc/dangling", "security.selinux", []byte("system_u:object_r:etc_t:s0\x00")},
		{"srv/null", "trusted.device", []byte("x")},
		{".", "security.selinux", []byte("system_u:object_r:root_t:s0\x00")},
		{".", "user.root", []byte("yes")},
	} {
		t.check(xattr.LSet(t.path(a.name), a.attr, a.value))
	}
}

// times gives every name its own time, directories last, some before 1970.
func (t tree) times() {
	t.Helper()
	var names []string
	t.check(filepath.WalkDir(t.root, func(p string, _ fs.DirEntry, err error) error {
		names = append(names, p)
		return err
	}))
	for i := len(names) - 1; i >= 0; i-- {
		ts := unix.NsecToTimespec(time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 1234567891234567).UnixNano())
		t.check(unix.UtimesNanoAt(unix.AT_FDCWD, names[i], []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
	t.check(unix.Chmod(t.root, 0o751))
}

// facts describes each name below root by all that has to survive.
func facts(t testing.TB, root string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	first := make(map[uint64]string)
	err := filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		fact := fmt.Sprintf("%o %d:%d %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		attrs, err := attributesOf(p)
		if err != nil {
			return err
		}
		fact += attrs
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fact += fmt.Sprintf(" %d %x", st.Size, sha256.Sum256(data))
		case unix.S_IFLNK:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			fact += " -> " + target
		case unix.S_IFCHR, unix.S_IFBLK:
			fact += fmt.Sprintf(" %d/%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1 {
			if _, ok := first[st.Ino]; !ok {
				first[st.Ino] = name
			}
			fact += fmt.Sprintf(" is %s, %d", first[st.Ino], st.Nlink)
		}
		all[name] = fact
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func attributesOf(path string) (string, error) {
	names, err := xattr.LList(path)
	if err != nil {
		return "", err
	}
	attrs := make(map[string]string)
	for _, name := range names {
		value, err := xattr.LGet(path, name)
		if err != nil {
			return "", err
		}
		attrs[name] = string(value)
	}
	return fmt.Sprintf(" %q", attrs), nil
}

// leftOut is what a pack of newTree's tree does not bring.
var leftOut = []string{
	"var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "var/lib/dhcp/dhclient.eth0.leases",
	"tmp/left", "dev/shm", "dev/shm/x", "run/lock", "run/lock/y", "proc/version", "sys/kernel", "srv/socket",
}

// wantSame compares two trees but for what is left out on purpose.
func wantSame(t testing.TB, source, result string) {
	t.Helper()
	want, got := facts(t, source), facts(t, result)
	for _, name := range leftOut {
		delete(want, name)
	}
	blank := "etc/machine-id"
	if fi, err := os.Stat(filepath.Join(result, blank)); err != nil || fi.Size() != 0 {
		t.Errorf("%s: %v, %v, want an empty file", blank, fi, err)
	}
	maps.DeleteFunc(want, func(name, _ string) bool { return name == blank })
	delete(got, blank)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trees differ (-packed +unpacked):\n%s", diff)
	}
}
