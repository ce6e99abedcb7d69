package room

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test be the owner of a room that gets killed, see TestSweep.
func TestMain(m *testing.M) {
	if os.Getenv("ROOM_TEST_OWNER") != "" {
		beOwner()
	}
	os.Exit(m.Run())
}

func open(t *testing.T) *Room {
	t.Helper()
	r, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// daemon starts a process in the namespace that is nobody's child, as daemons are, and returns its pid descriptor.
func daemon(t *testing.T, n *Namespace) int {
	t.Helper()
	pidFile := filepath.Join(t.TempDir(), "pid")
	script := `setsid sh -c 'echo $$ >"$1.new"; mv "$1.new" "$1"; trap "" HUP; exec sleep 1000' - "$1" >/dev/null 2>&1 </dev/null &
		until [ -e "$1" ]; do sleep 0.01; done`
	if out, err := n.Command(t.Context(), "sh", "-c", script, "-", pidFile).CombinedOutput(); err != nil {
		t.Fatalf("start daemon: %v: %s", err, out)
	}
	return pidFD(t, pidFile)
}

func pidFD(t *testing.T, pidFile string) int {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	return openPID(t, atoi(t, strings.TrimSpace(string(text))))
}

func openPID(t *testing.T, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func ended(t *testing.T, fd int) bool {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func checkGone(t *testing.T, name string) {
	t.Helper()
	list, err := exec.Command("ip", "netns", "list").CombinedOutput()
	if err != nil {
		t.Fatalf("ip netns list: %v: %s", err, list)
	}
	if strings.Contains(string(list), name) {
		t.Errorf("namespace stayed: %s", list)
	}
	for _, path := range []string{netnsPath(name), filepath.Join(claimDir, name), ownDir(name)} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s stayed: %v", path, err)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	r := open(t)
	m, err := r.AddMachine(Machine{Name: "node001", MAC: "52:54:00:00:00:01", Memory: 64, Disks: []int{64}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h, err := r.AddHost(t.Context(), "stranger", nil)
	if err != nil {
		t.Fatal(err)
	}
	fds := []int{daemon(t, r.Namespace), daemon(t, h.Namespace), openPID(t, m.live.cmd.Process.Pid)}
	for i, fd := range fds {
		if ended(t, fd) {
			t.Fatalf("process %d ended before the room was closed", i)
		}
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, fd := range fds {
		if !ended(t, fd) {
			t.Errorf("process %d stayed", i)
		}
	}
	checkGone(t, r.Name())
	checkGone(t, h.Name())
	if _, err := r.AddMachine(Machine{Name: "node002", MAC: "52:54:00:00:00:02"}); err == nil {
		t.Error("a closed room took a machine")
	}
}

// A socket that outlives the room keeps its namespace; there must be no link left in it.
func TestCloseTakesLinksFromHeldNamespace(t *testing.T) {
	r := open(t)
	held, err := os.Open(netnsPath(r.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := r.AddMachine(Machine{Name: "node001", MAC: "52:54:00:00:00:01"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nsenter", "--net=/proc/self/fd/3", "ip", "-brief", "link")
	cmd.ExtraFiles = []*os.File{held}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ip link: %v: %s", err, out)
	}
	if got := strings.Fields(string(out)); len(got) == 0 || got[0] != "lo" || strings.Count(string(out), "\n") != 1 {
		t.Errorf("links left:\n%s", out)
	}
}

func TestContextEndClosesRoom(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Open(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fd := daemon(t, r.Namespace)
	cancel()
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 30_000); err != nil || !ended(t, fd) {
		t.Errorf("the end of the context did not end the room's process: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	checkGone(t, r.Name())
}

// beOwner opens a room, starts a daemon in it, tells both, and waits to be killed.
func beOwner() {
	r, err := Open(context.Background(), Options{})
	if err != nil {
		panic(err)
	}
	out, err := r.Command(context.Background(), "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!").Output()
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(r.Name() + " " + string(out))
	time.Sleep(time.Hour)
}

func TestSweep(t *testing.T) {
	mine := open(t)
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), "ROOM_TEST_OWNER=yes")
	owner.Stderr = os.Stderr
	owner.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner opened no room: %v", err)
	}
	name, pid, _ := strings.Cut(strings.TrimSpace(line), " ")
	fd := openPID(t, atoi(t, pid))

	if err := Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ended(t, fd) {
		t.Fatal("a room was swept while its owner lived")
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // killed
	if err := Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !ended(t, fd) {
		t.Error("the dead owner's process stayed")
	}
	checkGone(t, name)
	if _, err := os.Stat(netnsPath(mine.Name())); err != nil {
		t.Errorf("a living owner's room was swept: %v", err)
	}
}
