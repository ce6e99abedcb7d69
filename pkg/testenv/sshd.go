package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// SSHD is OpenSSH's sshd on loopback, whose root file system is a directory of the test.
type SSHD struct {
	// Host is where it answers, Key the private key that it lets in, KnownHosts a file with its host key.
	Host, Key, KnownHosts string
	Port                  int
}

// inTree runs what a client asks for in a chroot of $T, in which /proc and /dev are mounted for that one call.
const inTree = `#!/bin/sh
T='%s' exec unshare --mount sh -c 'mount -t proc proc "$T/proc" && mount --rbind /dev "$T/dev" && exec chroot "$T" /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
`

// StartSSHD starts a sshd until the test ends. The tree gets a busybox, as its only programs.
func StartSSHD(t testing.TB, tree string) *SSHD {
	t.Helper()
	return StartSSHDIn(t, tree)
}

// StartSSHDIn is StartSSHD with words before its command line, which put it on the loopback of another network namespace, as
// nsenter does.
func StartSSHDIn(t testing.TB, tree string, in ...string) *SSHD {
	t.Helper()
	Root(t)
	server, dir := Program(t, "sshd"), t.TempDir()
	Shell(t, `set -eu; mkdir -p /run/sshd "$2/bin" "$2/proc" "$2/run" "$2/dev"; chmod 0700 "$1"
for f in "$3" $(ldd "$3" | grep -o '/[^ ]*'); do mkdir -p "$2$(dirname "$f")"; cp -L "$f" "$2$f"; done; [ "$3" -ef "$2/bin/busybox" ] || cp "$3" "$2/bin/busybox"; for p in sh mktemp cat chmod rm uname; do ln -sf busybox "$2/bin/$p"; done
for k in host client; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$1/$k"; done`, dir, tree, Program(t, "busybox"))
	s := &SSHD{Host: "127.0.0.1", Port: FreePorts(t, 1)[0], Key: filepath.Join(dir, "client"), KnownHosts: filepath.Join(dir, "known_hosts")}
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write("known_hosts", fmt.Sprintf("[%s]:%d %s", s.Host, s.Port, key), 0o600)
	wrapper := write("in-tree", fmt.Sprintf(inTree, tree), 0o755)
	config := write("sshd_config", fmt.Sprintf("ListenAddress %s:%d\nHostKey %s\nAuthorizedKeysFile %s\nPermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\nForceCommand %s\n",
		s.Host, s.Port, filepath.Join(dir, "host"), s.Key+".pub", wrapper), 0o600)
	line := append(slices.Clone(in), server, "-D", "-e", "-f", config)
	cmd := exec.Command(line[0], line[1:]...)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("sshd says:\n%s", text)
		}
	})
	s.wait(t, in)
	return s
}

// wait waits until it answers there.
func (s *SSHD) wait(t testing.TB, in []string) {
	t.Helper()
	line := append(slices.Clone(in), Program(t, "bash"), "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", s.Host, s.Port))
	for range 600 {
		if exec.Command(line[0], line[1:]...).Run() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("sshd does not answer")
}

// Agent builds the node agent, static as it is shipped, and returns its file.
func Agent(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "luna-agent")
	cmd := exec.Command(Program(t, "go"), "build", "-buildvcs=false", "-trimpath", "-tags", "nosqlite disable_libutp", "-ldflags", "-s -w", "-o", file, "github.com/luna-hpc/luna/services/cmd/luna-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	return file
}
