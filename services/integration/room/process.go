package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long a process in the namespace may take to end when asked, before it is killed.
const grace = 10 * time.Second

// Command is a command that runs inside the namespace, in a process group of its own. The group is killed when ctx
// ends; the process also when this one dies. What is left of it ends with the room.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.name, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.WaitDelay = time.Second // a child outside the group may hold the output open
	return cmd
}

// Output runs a command of Command and returns what it printed; an error holds what it complained of.
func Output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args[min(len(cmd.Args), 4):], " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// killAll ends every process in a namespace: asks, waits, kills, waits.
func killAll(name string) error {
	id, err := idOf(netnsPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at namespace %s: %w", name, err)
	}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL, unix.SIGKILL} {
		left, err := signalAll(id, sig)
		if err != nil {
			return fmt.Errorf("end processes in %s: %w", name, err)
		}
		if left == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s: processes outlived SIGKILL", name)
}

// signalAll signals all processes in a namespace, waits for them up to the grace, and returns how many there were.
func signalAll(id namespaceID, sig unix.Signal) (int, error) {
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for _, path := range pids {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil || pid == os.Getpid() {
			continue
		}
		// The descriptor comes before the look: a number may be reused, what a descriptor means may not.
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // ended meanwhile
		}
		if got, err := idOf(filepath.Join(path, "ns/net")); err != nil || got != id {
			unix.Close(fd)
			continue
		}
		fds = append(fds, fd)
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("signal process %d: %w", pid, err)
		}
	}
	return len(fds), awaitAll(fds, time.Now().Add(grace))
}

// awaitAll waits until the processes have ended or the deadline has passed.
func awaitAll(fds []int, deadline time.Time) error {
	for _, fd := range fds {
		for {
			left := max(time.Until(deadline).Milliseconds(), 0)
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left))
			if err == nil {
				break
			}
			if !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("wait for process: %w", err)
			}
		}
	}
	return nil
}

// namespaceID is what two links to one namespace have in common.
type namespaceID struct{ device, inode uint64 }

func idOf(path string) (namespaceID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return namespaceID{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return namespaceID{device: st.Dev, inode: st.Ino}, nil
}

// need tells which of these tools are missing.
func need(tools ...string) error {
	var errs []error
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			errs = append(errs, fmt.Errorf("%s is missing: run deploy/room/install-packages.sh", tool))
		}
	}
	return errors.Join(errs...)
}
