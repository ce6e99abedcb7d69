// Package sshd runs the initrd's ssh server with a host key made at this boot.
package sshd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Server is a running ssh server.
type Server struct {
	// Fingerprint of the host key, as ssh shows it.
	Fingerprint string

	cmd  *exec.Cmd
	done chan error
}

// daemons are the places of the daemon, which wants to be started by its full path.
var daemons = []string{"/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"}

// privilege are the folders that builds of OpenSSH want for their unprivileged half.
var privilege = []string{"/run/sshd", "/var/empty/sshd", "/usr/share/empty.sshd", "/var/empty", "/var/lib/empty"}

// Start makes a host key in dir and starts the server on port 22 with root's
// authorized_keys.
func Start(ctx context.Context, dir string) (*Server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for ssh: %w", err)
	}
	print, err := hostKey(ctx, filepath.Join(dir, "host_key"))
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "sshd_config")
	if err := os.WriteFile(config, []byte(Config(dir)), 0o600); err != nil {
		return nil, fmt.Errorf("configure sshd: %w", err)
	}
	daemon, err := find(daemons)
	if err != nil {
		return nil, err
	}
	for _, path := range privilege {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("make a folder for sshd: %w", err)
		}
	}
	if out, err := exec.CommandContext(ctx, daemon, "-t", "-f", config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("sshd does not take its configuration: %w: %s", err, strings.TrimSpace(string(out)))
	}
	s, err := start(daemon, config, filepath.Join(dir, "log"), print)
	if err != nil {
		return nil, err
	}
	return s, s.listens(ctx, "127.0.0.1:22", filepath.Join(dir, "log"))
}

// listens waits until the server takes connections. When it ends before, the
// error has what it said.
func (s *Server) listens(ctx context.Context, address, log string) error {
	const bound, pause = 10 * time.Second, 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case ended := <-s.done:
			s.done <- ended
			said, _ := os.ReadFile(log)
			return fmt.Errorf("sshd ended at once: %v: %s", ended, strings.TrimSpace(string(said)))
		case <-ctx.Done():
			return fmt.Errorf("sshd does not listen: %w", err)
		case <-time.After(pause):
		}
	}
}

// start runs the daemon in the foreground, so that its end is seen.
func start(daemon, config, log, print string) (*Server, error) {
	cmd := exec.Command(daemon, "-D", "-f", config, "-E", log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sshd: %w", err)
	}
	s := &Server{Fingerprint: print, cmd: cmd, done: make(chan error, 1)}
	go func() { s.done <- cmd.Wait() }()
	return s, nil
}

// Stop ends the server. Sessions that are open go on until their processes end.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop sshd: %w", err)
	}
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	return nil
}

// Config returns the server's configuration. Whatever the image's build of
// OpenSSH knows besides keeps its default.
func Config(dir string) string {
	return strings.Join([]string{
		"Port 22",
		"HostKey " + filepath.Join(dir, "host_key"),
		"PidFile none",
		"AuthorizedKeysFile /root/.ssh/authorized_keys",
		"StrictModes no",
		"PermitRootLogin prohibit-password",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"UsePAM no",
		"UseDNS no",
		"PrintMotd yes",
		"Subsystem sftp internal-sftp",
		"",
	}, "\n")
}

// hostKey makes a key unless this boot has made it before, and returns its fingerprint.
func hostKey(ctx context.Context, path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		if err := keygen(ctx, nil, "-q", "-t", "ed25519", "-N", "", "-C", "luna", "-f", path); err != nil {
			return "", err
		}
	}
	var out strings.Builder
	if err := keygen(ctx, &out, "-l", "-E", "sha256", "-f", path+".pub"); err != nil {
		return "", err
	}
	words := strings.Fields(out.String())
	if len(words) < 2 {
		return "", fmt.Errorf("ssh-keygen -l says %q", out.String())
	}
	return words[1], nil
}

func keygen(ctx context.Context, out *strings.Builder, args ...string) error {
	cmd := exec.CommandContext(ctx, "ssh-keygen", args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if out != nil {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make the ssh host key: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

func find(paths []string) (string, error) {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the initrd has no sshd")
}
