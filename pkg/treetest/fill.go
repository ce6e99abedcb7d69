package treetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// oddName is a name of bytes that are no UTF-8, with a line end in it.
const oddName = "odd\xff\xfe\nname"

// labels are extended attributes of every name space, with values that are no text.
var labels = []struct{ name, attr, value string }{
	{"usr/bin/ping", "security.capability", "\x01\x00\x00\x02\x00\x20" + strings.Repeat("\x00", 14)},
	{"usr/bin/ping", "security.selinux", "system_u:object_r:ping_exec_t:s0\x00"},
	{"etc/passwd", "user.equals=100%", "a=b\nc\x00d"},
	{"etc/passwd", "user.empty", ""},
	{"etc/passwd", "security.ima", "\x04\x01"},
	{"etc/shared", "trusted.mark", "\x00\x01\x02"},
	{"etc/link", "security.selinux", "system_u:object_r:etc_t:s0\x00"},
	{"srv/null", "trusted.device", "x"},
	{"srv/pipe", "security.selinux", "system_u:object_r:fifo_t:s0\x00"},
	{"empty/dir", "user.dir", "y"},
	{".", "security.selinux", "system_u:object_r:root_t:s0\x00"},
	{".", "user.root", "yes"},
	{"etc/shared", "system.posix_acl_default", accessList},
	{"etc/group", "system.posix_acl_access", accessList},
}

// accessList lets user 5 read, as the kernel has it: version, then tag, permissions, id.
const accessList = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x05\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
	"\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"

// filler makes a tree; the first error ends it.
type filler struct {
	root string
	err  error
}

func (f *filler) at(name string) string { return filepath.Join(f.root, name) }

func (f *filler) do(err error) {
	if f.err == nil {
		f.err = err
	}
}

// Fill makes in an empty directory one of everything that a root file system may have and a release keeps: owners,
// modes, times to the nanosecond, hard links, holes, devices, FIFOs, links, long and odd names, attributes of every name
// space, access lists, empty directories, and the directory's own. Only root can. Enough of it that a release has
// several segments, with hard links between them.
func Fill(t testing.TB, root string) {
	t.Helper()
	umask := unix.Umask(0o022)
	defer unix.Umask(umask)
	f := &filler{root: root}
	f.files()
	f.others()
	for _, l := range labels {
		f.do(unix.Lsetxattr(f.at(l.name), l.attr, []byte(l.value), 0))
	}
	f.do(unix.Chmod(root, 0o2751))
	f.do(os.Chown(root, 11, 12))
	f.do(unix.Chmod(root, 0o2751))
	f.times()
	if f.err != nil {
		t.Fatal(f.err)
	}
}

func (f *filler) files() {
	src := rand.NewChaCha8([32]byte{1})
	file := func(name string, size int, mode uint32, uid, gid int) {
		data := make([]byte, size)
		_, _ = src.Read(data) // never fails
		f.do(os.MkdirAll(filepath.Dir(f.at(name)), 0o755))
		f.do(os.WriteFile(f.at(name), data, 0o600))
		f.do(os.Lchown(f.at(name), uid, gid))
		f.do(unix.Chmod(f.at(name), mode))
	}
	file("etc/passwd", 1000, 0o644, 0, 0)
	file("etc/group", 1000, 0o640, 0, 42)
	file("etc/none", 0, 0, 65534, 65534)
	file("usr/bin/su", 70_001, 0o4755, 17, 2_500_000)
	file("usr/bin/wall", 5, 0o2755, 0, 5)
	file("usr/bin/ping", 4096, 0o755, 0, 0)
	file("long/"+strings.Repeat("d/", 80)+strings.Repeat("n", 255), 4, 0o644, 0, 0)
	file("usr/share/"+oddName+"/"+oddName, 3, 0o600, 1, 2)
	file("usr/share/grün/été", 4097, 0o600, 1, 2)
	for i := range 300 {
		file(fmt.Sprintf("usr/lib/%02d/f%03d", i%20, i), 100_000+i, 0o644, i, i*1000)
	}
	file("usr/lib/big", 20<<20, 0o644, 0, 0)
	f.do(os.Link(f.at("usr/bin/su"), f.at("usr/bin/su-again")))
	f.do(os.Link(f.at("usr/lib/18/f298"), f.at("etc/far")))
	f.do(os.Link(f.at("usr/lib/19/f299"), f.at("usr/lib/19/near")))
	f.sparse("var/sparse", 64<<20, 8<<20, 40<<20)
	f.sparse("var/hole", 3<<20)
	f.sparse("var/end", 5<<20, 5<<20-4096)
}

// sparse makes a file with 4 kB of data at some places.
func (f *filler) sparse(name string, size int64, data ...int64) {
	f.do(os.MkdirAll(filepath.Dir(f.at(name)), 0o755))
	to, err := os.Create(f.at(name))
	f.do(err)
	if err != nil {
		return
	}
	f.do(to.Truncate(size)) // first: XFS takes room beyond an end that grows
	for _, off := range data {
		_, err := to.WriteAt(bytes.Repeat([]byte("x"), 4096), off)
		f.do(err)
	}
	f.do(to.Close())
}

func (f *filler) others() {
	for name, mode := range map[string]uint32{"empty/dir": 0o700, "etc/shared": 0o2770, "srv": 0o1777, "var/tmp": 0o1777, "proc": 0o555, "tmp": 0o1777} {
		f.do(os.MkdirAll(f.at(name), 0o755))
		f.do(os.Chown(f.at(name), 7, 8))
		f.do(unix.Chmod(f.at(name), mode))
	}
	f.do(os.Symlink("passwd", f.at("etc/link")))
	f.do(os.Lchown(f.at("etc/link"), 5, 6))
	f.do(os.Link(f.at("etc/link"), f.at("etc/link-again")))
	// XFS has no longer targets than 1,023 bytes.
	f.do(os.Symlink("/"+strings.Repeat("t/", 500), f.at("etc/long-link")))
	f.do(os.Symlink("../../../"+oddName, f.at("usr/share/"+oddName+"/link")))
	f.do(unix.Mknod(f.at("srv/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	f.do(unix.Mknod(f.at("srv/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
	f.do(unix.Mkfifo(f.at("srv/pipe"), 0o640))
	f.do(os.Lchown(f.at("srv/pipe"), 9, 10))
	f.do(os.Link(f.at("srv/pipe"), f.at("srv/pipe-again")))
}

// times gives each name its own, some before 1970, directories after what is in them.
func (f *filler) times() {
	var names []string
	f.do(filepath.WalkDir(f.root, func(p string, _ os.DirEntry, err error) error {
		names = append(names, p)
		return err
	}))
	for i, p := range slices.Backward(names) {
		at := time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i+1) * 1_234_567_891_234_567)
		ts := unix.NsecToTimespec(at.UnixNano())
		f.do(unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}
