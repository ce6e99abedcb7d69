package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// entry is one name of the tree as the walk found it.
type entry struct {
	name string
	stat State
	// target is the earlier name of the same file, for hard links.
	target string
	// blank files are packed without their content.
	blank bool
	// foreign directories are where another file system is mounted.
	foreign bool
}

// tellForeign calls foreign, when it is set, for each directory that is packed empty since something is mounted there.
func tellForeign(entries []entry, foreign func(name string)) {
	for i := range entries {
		if e := &entries[i]; foreign != nil && e.foreign && !pseudoDirs[e.name] {
			foreign(e.name)
		}
	}
}

// contentOf returns the bytes of the files that are read to pack the entries.
func contentOf(entries []entry) (n int64) {
	for i := range entries {
		if e := &entries[i]; e.stat.isRegular() && e.target == "" && !e.blank {
			n += e.stat.Size
		}
	}
	return n
}

// State is what tells one state of a file from another; times are nanoseconds since 1970.
type State struct {
	Mode         uint32
	UID, GID     uint32
	Nlink        uint32
	Ino          uint64
	Dev, Rdev    uint64
	Mount        uint64
	Size         int64
	Mtime, Ctime int64
}

func (s State) isDir() bool     { return s.Mode&unix.S_IFMT == unix.S_IFDIR }
func (s State) isRegular() bool { return s.Mode&unix.S_IFMT == unix.S_IFREG }

// Stat returns the state of base in the open directory at, or of what at itself is when base is empty. It follows no
// link and triggers no mount.
func Stat(at int, base string) (State, error) {
	var st unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if base == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := unix.Statx(at, base, flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st); err != nil {
		return State{}, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		st.Nlink = 0 // nobody needs it, and that of a mounted proc(5) is the number of processes
	}
	return State{
		Mode: uint32(st.Mode), UID: st.Uid, GID: st.Gid, Nlink: st.Nlink,
		Ino: st.Ino, Size: int64(st.Size), Mount: st.Mnt_id,
		Dev:   unix.Mkdev(st.Dev_major, st.Dev_minor),
		Rdev:  unix.Mkdev(st.Rdev_major, st.Rdev_minor),
		Mtime: nanoseconds(st.Mtime), Ctime: nanoseconds(st.Ctime),
	}, nil
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// walker collects the entries of a tree, each directory before what is in it, names in byte order.
type walker struct {
	tree    string
	root    State
	leave   leaveOut
	entries []entry
}

// walk returns the state of the tree's root and its entries. It enters no other file system.
func walk(ctx context.Context, tree string, exclude []string) (State, []entry, error) {
	leave, err := newLeaveOut(exclude)
	if err != nil {
		return State{}, nil, err
	}
	fd, err := unix.Open(tree, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return State{}, nil, &os.PathError{Op: "open", Path: tree, Err: err}
	}
	w := &walker{tree: tree, leave: leave}
	if w.root, err = Stat(fd, ""); err != nil {
		return State{}, nil, errors.Join(&os.PathError{Op: "stat", Path: tree, Err: err}, unix.Close(fd))
	}
	err = w.dir(ctx, fd, "")
	return w.root, w.entries, err
}

// dir collects what is in the open directory and closes it.
func (w *walker) dir(ctx context.Context, fd int, name string) error {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("list %s: %w", path.Join(w.tree, name), err)
	}
	slices.Sort(names)
	for _, base := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.child(ctx, fd, path.Join(name, base), base); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) child(ctx context.Context, at int, name, base string) error {
	if w.leave.drops(name) {
		return nil
	}
	st, err := Stat(at, base)
	if err != nil {
		return w.failed("stat", name, err)
	}
	foreign := st.Dev != w.root.Dev || st.Mount != w.root.Mount
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFSOCK:
		return nil // a socket without its process is nothing
	case foreign && !st.isDir():
		return fmt.Errorf("%s is covered by a mount: unmount it before packing", path.Join(w.tree, name))
	}
	w.entries = append(w.entries, entry{name: name, stat: st, blank: blankFiles[name] && st.isRegular(), foreign: foreign})
	if !st.isDir() || foreign || w.leave.empties(name) {
		return nil
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return w.failed("open", name, err)
	}
	return w.dir(ctx, fd, name)
}

func (w *walker) failed(op, name string, err error) error {
	full := path.Join(w.tree, name)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s vanished while packing: %w", full, err)
	}
	return &os.PathError{Op: op, Path: full, Err: err}
}
