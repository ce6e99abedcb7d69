package sshd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
)

func TestHostKeyIsMadeOnce(t *testing.T) {
	testenv.Program(t, "ssh-keygen")
	path := filepath.Join(t.TempDir(), "host_key")
	first, err := hostKey(t.Context(), path)
	if err != nil || !strings.HasPrefix(first, "SHA256:") {
		t.Fatalf("fingerprint %q, %v", first, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key is %v, %v", info, err)
	}
	if again, err := hostKey(t.Context(), path); err != nil || again != first {
		t.Errorf("again %q, %v", again, err)
	}
}

// TestConfig asks the sshd of an image.
func TestConfig(t *testing.T) {
	testenv.Root(t)
	image := testenv.Image(t)
	dir := t.TempDir()
	if _, err := hostKey(t.Context(), filepath.Join(dir, "host_key")); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "sshd_config")
	if err := os.WriteFile(config, []byte(Config(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	// In the image, where its user sshd is; the mounts go with their namespace.
	const inImage = `mount -t tmpfs tmpfs "$1/tmp" && mount -t tmpfs tmpfs "$1/run" && mkdir -p "$1/run/sshd" "$1$2" &&
		mount --bind "$2" "$1$2" && exec chroot "$1" /usr/sbin/sshd -T -f "$2/sshd_config"`
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", inImage, "sh", image, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"\nusepam no\n", "\npasswordauthentication no\n", "\nauthorizedkeysfile /root/.ssh/authorized_keys\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("sshd says\n%s\nwithout %q", out, want)
		}
	}
}

func TestServerStops(t *testing.T) {
	dir := t.TempDir()
	daemon := filepath.Join(dir, "sshd")
	if err := os.WriteFile(daemon, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := start(daemon, "c", filepath.Join(dir, "log"), "SHA256:x")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if s.cmd.ProcessState == nil {
		t.Error("still runs")
	}
}

func TestServerThatEndsAtOnce(t *testing.T) {
	dir := t.TempDir()
	daemon, log := filepath.Join(dir, "sshd"), filepath.Join(dir, "log")
	if err := os.WriteFile(daemon, []byte("#!/bin/sh\necho no room >\"$5\"\nexit 255\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := start(daemon, "c", log, "SHA256:x")
	if err != nil {
		t.Fatal(err)
	}
	// Nobody listens on port 1.
	if err := s.listens(t.Context(), "127.0.0.1:1", log); err == nil || !strings.HasSuffix(err.Error(), "exit status 255: no room") {
		t.Errorf("got %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func TestServerListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := (&Server{}).listens(t.Context(), l.Addr().String(), ""); err != nil {
		t.Error(err)
	}
}
