package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// cgroup is a control group that counts the processor time and the memory of its processes, of either version of
// the kernel's interface.
type cgroup struct {
	dirs   []string
	cpu    string // the file with the processor time
	memory string // the file with the most memory
}

const cgroups = "/sys/fs/cgroup"

// newCgroup makes a group.
func newCgroup(name string) (*cgroup, error) {
	g := &cgroup{}
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		dir := filepath.Join(cgroups, name)
		g.dirs, g.cpu, g.memory = []string{dir}, filepath.Join(dir, "cpu.stat"), filepath.Join(dir, "memory.peak")
		if err := os.WriteFile(filepath.Join(cgroups, "cgroup.subtree_control"), []byte("+cpu +memory"), 0); err != nil {
			return nil, fmt.Errorf("count memory by control groups: %w", err)
		}
	} else {
		cpu, memory := filepath.Join(cgroups, "cpuacct", name), filepath.Join(cgroups, "memory", name)
		g.dirs, g.cpu, g.memory = []string{cpu, memory}, filepath.Join(cpu, "cpuacct.usage"), filepath.Join(memory, "memory.max_usage_in_bytes")
	}
	for _, dir := range g.dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a control group: %w", err)
		}
	}
	return g, nil
}

// take moves a process into the group; what it starts then is there too.
func (g *cgroup) take(pid int) error {
	for _, dir := range g.dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("move process %d into a control group: %w", pid, err)
		}
	}
	return nil
}

// spent is the processor time of all processes that are or were in the group.
func (g *cgroup) spent() (time.Duration, error) {
	data, err := os.ReadFile(g.cpu)
	if err != nil {
		return 0, err
	}
	unit := time.Nanosecond
	if rest, ok := bytes.CutPrefix(data, []byte("usage_usec ")); ok { // the first line of version 2
		data, _, _ = bytes.Cut(rest, []byte("\n"))
		unit = time.Microsecond
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return time.Duration(n) * unit, err
}

// peak is the most memory in bytes that the group ever had, files in memory with it.
func (g *cgroup) peak() (int64, error) {
	data, err := os.ReadFile(g.memory)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
}

// remove takes away the group, whose processes have ended.
func (g *cgroup) remove() error {
	var errs []error
	for _, dir := range g.dirs {
		var err error
		for range 100 { // a process that has been waited for may still be counted for a moment
			if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
				err = nil
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
