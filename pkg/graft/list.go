package graft

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
)

// Scope is the part of a tree that is looked at.
type Scope struct {
	// Filesystems are the places where file systems are mounted that are read, as in / and /boot; no other one is
	// entered. A place where nothing is mounted is a part of the file system that it lies in.
	Filesystems []string
	// Exclude leaves out what it covers, also a file system that is named.
	Exclude *Patterns
}

// covered returns the file systems that are left out all the same.
func (s Scope) covered() (all []string, err error) {
	starts, err := s.starts()
	for _, name := range starts {
		if name != "." && s.Exclude.Covers(name, true) {
			all = append(all, "/"+name)
		}
	}
	return all, err
}

// starts returns the file systems as names of a tree, sorted, or what is wrong with them.
func (s Scope) starts() ([]string, error) {
	var all []string
	for _, f := range s.Filesystems {
		if !path.IsAbs(f) {
			return nil, fmt.Errorf("file system %q must begin with /", f)
		}
		if name := strings.TrimPrefix(path.Clean(f), "/"); name == "" {
			all = append(all, ".")
		} else {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no file system is named, as in /,/boot")
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

type inode struct{ dev, ino uint64 }

// lister walks a tree that may be in use: what vanishes meanwhile is not there.
type lister struct {
	starts  []string
	exclude *Patterns
	each    func(*Fact) error
	first   map[inode]string
	seen    map[string]bool // starts that were walked
}

// List calls each for what a tree has in a scope, directories before what is in them, names in byte order, each file
// system after the one that it is mounted in. Sockets are left out, and the scope's file systems that are not there.
func List(ctx context.Context, root string, s Scope, each func(*Fact) error) error {
	starts, err := s.starts()
	if err != nil {
		return err
	}
	l := &lister{starts: starts, exclude: s.Exclude, each: each, first: map[inode]string{}, seen: map[string]bool{}}
	for _, start := range starts {
		if !l.seen[start] && (start == "." || !s.Exclude.Covers(start, true)) {
			if err := l.start(ctx, root, start); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lister) start(ctx context.Context, root, name string) error {
	fd, err := unix.Open(path.Join(root, name)+"/.", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) && name != "." {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path.Join(root, name), Err: err}
	}
	st, err := release.Stat(fd, "")
	if err == nil {
		err = l.fact(fd, "", name, st, nil)
	}
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	l.seen[name] = true
	_, err = l.dir(ctx, fd, name, st)
	return err
}

// fact tells what is at base in the open directory at, or at itself.
func (l *lister) fact(at int, base, name string, st release.State, change func(*Fact)) error {
	where := base
	if base == "" {
		where = "."
	}
	hdr, err := release.Describe(at, where, name, st)
	if vanished(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	hdr.Name = strings.TrimSuffix(hdr.Name, "/")
	f := &Fact{Header: hdr, state: st}
	if !f.isDir() && st.Nlink > 1 {
		id := inode{st.Dev, st.Ino}
		if target, ok := l.first[id]; ok {
			hdr.Typeflag, hdr.Linkname = tar.TypeLink, target
		} else {
			l.first[id] = name
		}
	}
	if change != nil {
		change(f)
	}
	return l.each(f)
}

// dir tells what is in the open directory, closes it, and says whether names were left out below.
func (l *lister) dir(ctx context.Context, fd int, name string, here release.State) (holds bool, err error) {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil && !vanished(err) {
		return false, fmt.Errorf("list %s: %w", name, err)
	}
	slices.Sort(names)
	for _, base := range names {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		child := base
		if name != "." {
			child = name + "/" + base
		}
		held, err := l.child(ctx, fd, base, child, here)
		if err != nil {
			return false, err
		}
		holds = holds || held
	}
	return holds, nil
}

func (l *lister) child(ctx context.Context, at int, base, name string, here release.State) (holds bool, err error) {
	st, err := release.Stat(at, base)
	switch {
	case vanished(err):
		return false, nil
	case err != nil:
		return false, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if l.exclude.excludes(name, dir) {
		return true, nil
	}
	if st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		return true, nil // a socket without its process is nothing
	}
	if mounted := st.Mount != here.Mount || dir && st.Dev != here.Dev; mounted && !slices.Contains(l.starts, name) || mounted && !dir {
		return true, l.fact(at, base, name, st, func(f *Fact) { f.Mount = true })
	}
	if !dir {
		return false, l.fact(at, base, name, st, nil)
	}
	return l.enter(ctx, at, base, name, st)
}

// enter tells of a directory and what is in it. The fact is told first and completed when all below is known.
func (l *lister) enter(ctx context.Context, at int, base, name string, st release.State) (holds bool, err error) {
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if vanished(err) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "open", Path: name, Err: err}
	}
	var told *Fact
	if err := l.fact(fd, "", name, st, func(f *Fact) { told = f }); err != nil {
		return false, errors.Join(err, unix.Close(fd))
	}
	l.seen[name] = true
	if holds, err = l.dir(ctx, fd, name, st); told != nil {
		told.holds = holds
	}
	return holds, err
}

func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
