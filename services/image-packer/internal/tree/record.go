package tree

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Record is what was looked up in a tree: for each path what was there, a link, nothing. A directory that was only
// passed counts as being there, one that was listed by its time. It belongs to one goroutine; nil notes nothing.
type Record map[string]string

const missing = "missing"

func (r Record) note(path string, info fs.FileInfo, err error) {
	if r == nil {
		return
	}
	r[path] = missing
	if err == nil {
		r[path] = state(info)
	}
}

// list notes the directory's time under its path with a slash.
func (r Record) list(root, path string) {
	if r == nil {
		return
	}
	r[path+"/"] = listing(filepath.Join(root, path))
}

// Unchanged tells whether all that was looked up is in the tree at root as it was.
func (r Record) Unchanged(root string) bool {
	for path, was := range r {
		if dir, ok := strings.CutSuffix(path, "/"); ok {
			if listing(filepath.Join(root, dir)) != was {
				return false
			}
			continue
		}
		now := missing
		if info, err := os.Lstat(filepath.Join(root, path)); err == nil {
			now = state(info)
		}
		if now != was {
			return false
		}
	}
	return true
}

// Settled tells whether everything in the record last changed before the time, so that another change shows.
func (r Record) Settled(root string, before time.Time) bool {
	for path := range r {
		info, err := os.Lstat(filepath.Join(root, path))
		if err != nil || info.IsDir() && !strings.HasSuffix(path, "/") {
			continue
		}
		if sys := info.Sys().(*syscall.Stat_t); !time.Unix(sys.Ctim.Unix()).Before(before) {
			return false
		}
	}
	return true
}

func state(info fs.FileInfo) string {
	if info.IsDir() {
		return "directory"
	}
	sys := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%o %d %d %d.%09d %d.%09d", sys.Mode, sys.Ino, sys.Size, sys.Mtim.Sec, sys.Mtim.Nsec, sys.Ctim.Sec, sys.Ctim.Nsec)
}

func listing(host string) string {
	info, err := os.Lstat(host)
	if err != nil || !info.IsDir() {
		return missing
	}
	sys := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d %d.%09d", sys.Ino, sys.Mtim.Sec, sys.Mtim.Nsec)
}
