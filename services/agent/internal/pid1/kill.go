package pid1

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// grace is how long processes may take to end when asked.
const grace = 2 * time.Second

// killAll ends all other processes, first asking. It spares those that serve
// the root file system, which by custom have an "@" before their name, as
// mdmon has.
func killAll() {
	deadline := time.Now().Add(grace)
	for _, pid := range others("/proc") {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		// Shells go when their terminal does.
		_ = syscall.Kill(pid, syscall.SIGHUP)
	}
	for time.Now().Before(deadline) {
		reap()
		if len(others("/proc")) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, pid := range others("/proc") {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	time.Sleep(50 * time.Millisecond)
	reap()
}

// reap takes away children that have ended.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
	}
}

// others returns the processes that killAll is about. Kernel threads and
// zombies have no command line.
func others(proc string) []int {
	names, err := filepath.Glob(proc + "/[0-9]*")
	if err != nil {
		panic(err) // Only a malformed pattern.
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if line, err := os.ReadFile(name + "/cmdline"); err == nil && len(line) > 0 && line[0] != '@' {
			pids = append(pids, pid)
		}
	}
	return pids
}
