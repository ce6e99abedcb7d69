package run

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// TakenPort adds the process that holds a port to an "address already in use"
// error; other errors come back with the address alone.
func TakenPort(err error, addr string) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	_, port, splitErr := net.SplitHostPort(addr)
	n, convErr := strconv.Atoi(port)
	if splitErr != nil || convErr != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	if who := holder(n); who != "" {
		return fmt.Errorf("listen on %s: the port is taken by %s: %w", addr, who, err)
	}
	return fmt.Errorf("listen on %s: the port is taken by another process: %w", addr, err)
}

// holder finds the process with a socket bound to a local port in /proc.
func holder(port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		collectInodes("/proc/net/"+table, port, inodes)
	}
	if len(inodes) == 0 {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

func collectInodes(table string, port int, into map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	suffix := fmt.Sprintf(":%04X", port)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		cols := strings.Fields(sc.Text())
		if len(cols) > 9 && strings.HasSuffix(cols[1], suffix) {
			into["socket:["+cols[9]+"]"] = true
		}
	}
}
