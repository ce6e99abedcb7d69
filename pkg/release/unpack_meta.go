package release

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
)

// setNode gives a symbolic link, device or fifo its owner, mode, attributes and times.
func setNode(at int, base string, hdr *tar.Header, refused map[string]int) error {
	if err := unix.Fchownat(at, base, hdr.Uid, hdr.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	path := beneath.Path(at, base)
	if hdr.Typeflag != tar.TypeSymlink {
		if err := dropACL(accessACL, func(name string) error { return unix.Lremovexattr(path, name) }); err != nil {
			return err
		}
		if err := unix.Fchmodat(at, base, uint32(hdr.Mode)&0o7777, 0); err != nil {
			return err
		}
	}
	if err := setXattrs(hdr, refused, func(name string, value []byte) error { return unix.Lsetxattr(path, name, value, 0) }); err != nil {
		return err
	}
	return setTimes(at, base, hdr.ModTime.UnixNano())
}

// finishDir gives a directory what its entry says.
func finishDir(dir *beneath.Dir, hdr *tar.Header, refused map[string]int) error {
	at, base, err := dir.Parent(hdr.Name, false)
	if err != nil {
		return err
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: hdr.Name, Err: err}
	}
	defer unix.Close(fd)
	if err := setDir(fd, dirMeta(hdr), refused); err != nil {
		return fmt.Errorf("%s: %w", hdr.Name, err)
	}
	return nil
}

// dirMeta returns what the entry of a directory says of it.
func dirMeta(hdr *tar.Header) Root {
	return Root{Mode: uint32(hdr.Mode) & 0o7777, UID: hdr.Uid, GID: hdr.Gid, Mtime: hdr.ModTime.UnixNano(), Xattrs: Xattrs(hdr)}
}

func finishRoot(path string, root Root, refused map[string]int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := setDir(fd, root, refused); err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	return nil
}

func setDir(fd int, meta Root, refused map[string]int) error {
	if err := unix.Fchown(fd, meta.UID, meta.GID); err != nil {
		return err
	}
	for _, acl := range []string{accessACL, defaultACL} {
		if err := dropACL(acl, func(name string) error { return unix.Fremovexattr(fd, name) }); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(fd, meta.Mode); err != nil {
		return err
	}
	for name, value := range meta.Xattrs {
		if err := setXattr(name, value, refused, func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) }); err != nil {
			return err
		}
	}
	return setTimes(fd, ".", meta.Mtime)
}

func setXattrs(hdr *tar.Header, refused map[string]int, set func(string, []byte) error) error {
	for name, value := range Xattrs(hdr) {
		if err := setXattr(name, value, refused, set); err != nil {
			return err
		}
	}
	return nil
}

// setXattr counts an attribute that the file system does not know and fails on every other error.
func setXattr(name string, value []byte, refused map[string]int, set func(string, []byte) error) error {
	err := set(name, value)
	if errors.Is(err, unix.EOPNOTSUPP) {
		refused[name]++
		return nil
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

// dropACL removes the access list that a name gets when it is made in a directory that has a default one already.
func dropACL(name string, remove func(name string) error) error {
	err := remove(name)
	if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// setTimes sets both times to mtime: a release has no access times.
func setTimes(at int, base string, mtime int64) error {
	ts := unix.NsecToTimespec(mtime)
	return unix.UtimesNanoAt(at, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

const paxXattr = "SCHILY.xattr."

// A PAX keyword cannot hold "="; GNU tar writes it, and "%", like this.
var (
	xattrKeyword = strings.NewReplacer("%", "%25", "=", "%3D")
	xattrName    = strings.NewReplacer("%25", "%", "%3D", "=")
)

// Xattrs returns the extended attributes that a header of a segment's tar holds.
func Xattrs(hdr *tar.Header) map[string][]byte {
	var attrs map[string][]byte
	for key, value := range hdr.PAXRecords {
		if keyword, ok := strings.CutPrefix(key, paxXattr); ok {
			if attrs == nil {
				attrs = make(map[string][]byte)
			}
			attrs[xattrName.Replace(keyword)] = []byte(value)
		}
	}
	return attrs
}
