package graft

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
	"github.com/luna-hpc/luna/pkg/release"
)

// stay is the folder, at the top of each file system, in which what comes waits.
const stay = ".luna-push"

// onDisk are the file systems that an installation puts a system on. What else is mounted, from the network or by the
// kernel, is not the release's.
var onDisk = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "jfs"}

// places are the file systems that a running system lies on.
type places struct {
	root string
	dir  *beneath.Dir
	home uint64            // the root's mount
	tops map[uint64]string // mount → where it is mounted, relative to the root
	made map[uint64]string
	used map[uint64]bool // those that something was looked up in
	dirs map[string]bool // what was checked and shall be a directory
}

func newPlaces(root string) (*places, error) {
	st, err := release.Stat(unix.AT_FDCWD, root+"/.")
	if err != nil {
		return nil, &os.PathError{Op: "stat", Path: root, Err: err}
	}
	if err := tellsMounts(root); err != nil {
		return nil, err
	}
	p := &places{root: root, home: st.Mount, tops: map[uint64]string{st.Mount: "."}, made: map[uint64]string{}, used: map[uint64]bool{st.Mount: true}, dirs: map[string]bool{}}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		p.mounted(lines.Text())
	}
	p.dir, err = beneath.Open(root)
	return p, err
}

// tellsMounts is an error when the kernel does not say on which mount a name lies.
func tellsMounts(root string) error {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, root+"/.", 0, unix.STATX_MNT_ID, &st); err != nil {
		return &os.PathError{Op: "statx", Path: root, Err: err}
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return errors.New("the kernel does not say what is mounted where: Linux 5.8 and later do")
	}
	return nil
}

// mounted reads a line of mountinfo, proc(5): id, parent, device, root, place, options, optional words, a hyphen, type.
func (p *places) mounted(line string) {
	words := strings.Fields(line)
	hyphen := slices.Index(words, "-")
	if hyphen < 6 || len(words) < hyphen+2 || !slices.Contains(onDisk, words[hyphen+1]) {
		return
	}
	if slices.Contains(strings.Split(words[5], ","), "ro") {
		return
	}
	id, err := strconv.ParseUint(words[0], 10, 64)
	at, below := strings.CutPrefix(unescape(words[4]), strings.TrimSuffix(p.root, "/")+"/")
	if err == nil && below && at != "" {
		p.tops[id] = at
	}
}

// unescape reads octal escapes of mountinfo.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// check is an error when a name does not lie on what is the system's, or is where something is mounted that is not, or
// where the system has put something else in the place of a directory. What is above a name is checked before it.
func (p *places) check(f *Fact) error {
	err := p.look(f)
	if err == nil && f.isDir() && !f.Gone {
		p.dirs[f.Name()] = true
	}
	return err
}

func (p *places) look(f *Fact) error {
	name := f.Name()
	mount, err := p.of(name)
	if err == nil {
		p.used[mount] = true
	}
	if err != nil || name == "." {
		return err
	}
	at, base, err := p.dir.Parent(name, false)
	if vanished(err) {
		return p.leads(f)
	}
	if err != nil {
		return err
	}
	st, err := release.Stat(at, base)
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case vanished(err):
		return nil
	case err != nil:
		return err
	case st.Mount != mount && (p.tops[st.Mount] == "" || !f.isDir() || !dir):
		return fmt.Errorf("%s is where something else is mounted", name)
	case f.isDir() && f.Was == tar.TypeDir && !dir:
		return fmt.Errorf("%s is no directory on this system", name)
	}
	return nil
}

// leads is an error when above a name, which is not there, is something that is no directory and shall not become one.
func (p *places) leads(f *Fact) error {
	if f.Gone {
		return nil
	}
	for dir := parent(f.Name()); dir != "."; dir = parent(dir) {
		at, base, err := p.dir.Parent(dir, false)
		if err != nil {
			continue
		}
		st, err := release.Stat(at, base)
		if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR && !p.dirs[dir] {
			return fmt.Errorf("%s is no directory on this system", dir)
		}
	}
	return nil
}

// of returns the mount that a name lies on; an error when that is not the system's.
func (p *places) of(name string) (uint64, error) {
	for dir := parent(name); name != "."; dir = parent(dir) {
		at, base := unix.AT_FDCWD, p.root+"/."
		if dir != "." {
			var err error
			if at, base, err = p.dir.Parent(dir, false); vanished(err) {
				continue
			} else if err != nil {
				return 0, err
			}
		}
		st, err := release.Stat(at, base)
		if vanished(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if p.tops[st.Mount] == "" {
			return 0, fmt.Errorf("%s lies where something else is mounted", name)
		}
		return st.Mount, nil
	}
	return p.home, nil
}

// make returns the folder for what is moved to a name; the first time it is made, or emptied.
func (p *places) make(name string) (string, error) {
	id, err := p.of(name)
	if err != nil || p.made[id] != "" {
		return p.made[id], err
	}
	folder := filepath.Join(p.root, p.tops[id], stay)
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	p.made[id] = folder
	return folder, nil
}

// sync makes what was written outlast a crash.
func (p *places) sync() (err error) {
	for id := range p.used {
		where := filepath.Join(p.root, p.tops[id])
		f, failed := os.Open(where)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		if failed := unix.Syncfs(int(f.Fd())); failed != nil {
			err = errors.Join(err, &os.PathError{Op: "sync", Path: where, Err: failed})
		}
		err = errors.Join(err, f.Close())
	}
	return err
}

// clear removes the folders; the directories that they lay in get their times back.
func (p *places) clear() error {
	err := p.dir.Close()
	for _, folder := range p.made {
		st, failed := release.Stat(unix.AT_FDCWD, path.Dir(folder))
		err = errors.Join(err, failed, os.RemoveAll(folder))
		if failed == nil {
			ts := unix.NsecToTimespec(st.Mtime)
			err = errors.Join(err, unix.UtimesNanoAt(unix.AT_FDCWD, path.Dir(folder), []unix.Timespec{{Nsec: unix.UTIME_OMIT}, ts}, 0))
		}
	}
	return err
}

// have tells what there is under the names that are wanted, and of the files that links are wanted to.
func (v Live) have(want []*Fact) (have []*Fact, err error) {
	dir, err := beneath.Open(v.Root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	names := map[string]bool{}
	for _, f := range want {
		names[f.Name()] = true
		if f.isLink() {
			names[f.Header.Linkname] = true
		}
	}
	all := make([]string, 0, len(names))
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	for _, name := range all {
		f, err := describe(v.Root, dir, name)
		if err != nil {
			return nil, err
		}
		if f != nil {
			have = append(have, f)
		}
	}
	return have, v.ownBelow(want, have)
}

// ownBelow is an error when something that is no directory shall take the place of one in which the system has files
// that no release knows.
func (v Live) ownBelow(want, have []*Fact) error {
	wanted := map[string]*Fact{}
	for _, f := range want {
		wanted[f.Name()] = f
	}
	for _, f := range have {
		w := wanted[f.Name()]
		if !f.isDir() || w == nil || w.Gone || w.isDir() {
			continue
		}
		err := filepath.WalkDir(filepath.Join(v.Root, f.Name()), func(p string, _ os.DirEntry, err error) error {
			name, failed := filepath.Rel(v.Root, p)
			if err = errors.Join(err, failed); err != nil || name == f.Name() {
				return err
			}
			if st, err := release.Stat(unix.AT_FDCWD, p); err != nil {
				return err
			} else if st.Mount != f.state.Mount {
				return fmt.Errorf("%s shall be a %s, and is a directory with something mounted at %s", f.Name(), kindName(w), name)
			}
			if x := wanted[name]; x == nil || !x.Gone {
				return fmt.Errorf("%s shall be a %s, and is a directory in which this system has %s", f.Name(), kindName(w), name)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func kindName(f *Fact) string {
	switch f.Header.Typeflag {
	case tar.TypeReg, tar.TypeLink:
		return "file"
	case tar.TypeSymlink:
		return "symbolic link"
	}
	return "device"
}
