package graft

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
	"github.com/luna-hpc/luna/pkg/release"
)

// committer does acts in a tree.
type committer struct {
	dir, second *beneath.Dir
	maker       *release.Maker
	again       bool
}

// commit does all acts, in order. An error leaves the tree half-way; done again it goes on. What is not in its folder any
// more was moved before when again is set, else it is an error.
func commit(root string, acts []act, again bool) (refused map[string]int, err error) {
	c := committer{again: again}
	if c.dir, err = beneath.Open(root); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.dir.Close()) }()
	if c.second, err = beneath.Open(root); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.second.Close()) }()
	if c.maker, err = release.NewMaker(root); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.maker.Close()) }()
	for _, a := range acts {
		if err := c.act(a); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	return c.maker.Refused(), nil
}

func (c committer) act(a act) error {
	if a.Via == makeDir && a.Header != nil {
		err := c.maker.SetDir(a.Header)
		if vanished(err) {
			return nil // it went with what was in it
		}
		return err
	}
	at, base, err := c.dir.Parent(a.Name, a.Via != remove)
	if vanished(err) && a.Via == remove {
		return nil
	}
	if err != nil {
		return err
	}
	switch a.Via {
	case remove:
		return drop(at, base, a)
	case mount, makeDir:
		if err := unix.Mkdirat(at, base, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		return nil
	case makeLink:
		return c.link(at, base, a)
	}
	err = unix.Renameat(unix.AT_FDCWD, path.Join(a.Place, a.Staged), at, base)
	if errors.Is(err, unix.ENOENT) && c.again {
		return nil // it was moved before
	}
	return err
}

// drop removes what the plan found, and nothing else that has come to its place. A directory that is not empty stays.
func drop(at int, base string, a act) error {
	var st unix.Stat_t
	err := unix.Fstatat(at, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if vanished(err) || err == nil && !isThere(a.Ino, a.Mode, st) {
		return nil
	}
	if err != nil {
		return err
	}
	flags := 0
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		flags = unix.AT_REMOVEDIR
	}
	err = unix.Unlinkat(at, base, flags)
	if vanished(err) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EBUSY) && flags != 0 {
		return nil
	}
	return err
}

// link makes base a further name of the target, in one step.
func (c committer) link(at int, base string, a act) error {
	from, name, err := c.second.Parent(a.Target, false)
	if err != nil {
		return err
	}
	var have, want unix.Stat_t
	if err := unix.Fstatat(from, name, &want, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if unix.Fstatat(at, base, &have, unix.AT_SYMLINK_NOFOLLOW) == nil && have.Ino == want.Ino && have.Dev == want.Dev {
		return nil
	}
	const temp = ".luna-graft-link"
	if err := unix.Unlinkat(at, temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := unix.Linkat(from, name, at, temp, 0); err != nil {
		return err
	}
	return unix.Renameat(at, temp, at, base)
}

// describe tells what there is under a name; nil when there is nothing.
func describe(root string, dir *beneath.Dir, name string) (*Fact, error) {
	var err error
	at, base := -1, "."
	if name != "." {
		at, base, err = dir.Parent(name, false)
	} else if at, err = unix.Open(root+"/.", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		defer unix.Close(at)
	}
	if vanished(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	st, err := release.Stat(at, base)
	if vanished(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	l := lister{first: map[inode]string{}}
	var told *Fact
	l.each = func(f *Fact) error { told = f; return nil }
	return told, l.fact(at, base, name, st, nil)
}

// parent returns the directory that a name lies in.
func parent(name string) string { return path.Dir(name) }

// deepFirst sorts names so that what is below one comes before it.
func deepFirst(names map[string]bool) []string {
	all := slices.Sorted(maps.Keys(names))
	slices.SortStableFunc(all, func(a, b string) int { return depth(b) - depth(a) })
	return all
}

func depth(name string) int {
	if name == "." {
		return -1
	}
	return strings.Count(name, "/")
}
