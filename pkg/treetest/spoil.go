package treetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Spoil is one thing that is made wrong in a tree of Fill.
type Spoil struct {
	// What is made wrong.
	What string
	// Do makes it wrong in the tree at root, and leaves the times of all else as they are.
	Do func(root string) error
}

// Spoils are one of each kind that a comparison must find; those of holes only Holes does.
var Spoils = []Spoil{
	{"a byte", on("usr/lib/big", func(p string) error { return flip(p) })},
	{"an owner", on("etc/none", func(p string) error { return os.Lchown(p, 1, 65534) })},
	{"a group of a link", on("etc/link", func(p string) error { return os.Lchown(p, 5, 7) })},
	{"a mode", on("usr/bin/su", func(p string) error { return unix.Chmod(p, 0o755) })},
	{"a mode of a directory", on("var/tmp", func(p string) error { return unix.Chmod(p, 0o777) })},
	{"a nanosecond", func(root string) error { return later(filepath.Join(root, "etc/group"), 1) }},
	{"a nanosecond of a directory", func(root string) error { return later(filepath.Join(root, "empty/dir"), 1) }},
	{"a nanosecond of a link", func(root string) error { return later(filepath.Join(root, "etc/long-link"), 1) }},
	{"a nanosecond of the root", func(root string) error { return later(root, 1) }},
	{"a hard link", on("usr/bin", func(p string) error { return part(p + "/su-again") })},
	{"a target", on("etc", func(p string) error { return retarget(p + "/link") })},
	{"a device", on("srv", func(p string) error { return remake(p+"/disk", unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70001))) })},
	{"a kind", on("srv", func(p string) error { return remake(p+"/null", unix.S_IFIFO|0o666, 0) })},
	{"a name less", on("usr/lib/05", func(p string) error { return os.Remove(p + "/f005") })},
	{"a name more", on("usr/lib/05", func(p string) error { return os.WriteFile(p+"/new", nil, 0o600) })},
	{"an odd name less", on("usr/share/"+oddName, func(p string) error { return os.Remove(p + "/" + oddName) })},
	{"an empty directory less", on("empty", func(p string) error { return os.Remove(p + "/dir") })},
	{"the mode of the root", on(".", func(p string) error { return unix.Chmod(p, 0o751) })},
	{"the owner of the root", on(".", func(p string) error { return os.Chown(p, 0, 0) })},
	{"a capability less", on("usr/bin/ping", func(p string) error { return unix.Lremovexattr(p, "security.capability") })},
	{"a label", on("srv/pipe", func(p string) error { return unix.Lsetxattr(p, "security.selinux", []byte("x"), 0) })},
	{"a label of a link", on("etc/link", func(p string) error { return unix.Lremovexattr(p, "security.selinux") })},
	{"a label of the root", on(".", func(p string) error { return unix.Lremovexattr(p, "security.selinux") })},
	{"an empty attribute less", on("etc/passwd", func(p string) error { return unix.Lremovexattr(p, "user.empty") })},
	{"an attribute more", on("etc/shared", func(p string) error { return unix.Lsetxattr(p, "trusted.more", nil, 0) })},
	{"an access list less", on("etc/group", func(p string) error { return unix.Lremovexattr(p, "system.posix_acl_access") })},
	{"a default access list less", on("etc/shared", func(p string) error { return unix.Lremovexattr(p, "system.posix_acl_default") })},
}

// SpoiledHole makes a hole of a sparse file data, of zeros.
var SpoiledHole = Spoil{"a hole", on("var/sparse", func(p string) error {
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, 4096), 16<<20)
	return errors.Join(err, f.Sync(), f.Close())
})}

// on changes the file at name, whose time stays.
func on(name string, change func(path string) error) func(root string) error {
	return func(root string) error {
		path := filepath.Join(root, name)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if err := change(path); err != nil {
			return err
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{st.Mtim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	}
}

func later(path string, nanoseconds int64) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	ts := unix.NsecToTimespec(unix.TimespecToNsec(st.Mtim) + nanoseconds)
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// flip changes one bit in the middle of a file.
func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0)
}

// part makes of a second name a file of its own, in all else the same.
func part(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return same(path, func() error { return os.WriteFile(path, data, 0o600) })
}

func retarget(path string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	return same(path, func() error { return os.Symlink(strings.ToUpper(target), path) })
}

func remake(path string, mode uint32, device int) error {
	return same(path, func() error { return unix.Mknod(path, mode, device) })
}

// same removes a name and makes it anew with the owner, mode and time that it had.
func same(path string, make func() error) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if err := errors.Join(os.Remove(path), make(), os.Lchown(path, int(st.Uid), int(st.Gid))); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(path, st.Mode&0o7777); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{st.Mtim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}
