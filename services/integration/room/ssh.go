package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// SSH runs a command as root on a machine, with the key of [Options], and returns what it printed.
func (r *Room) SSH(ctx context.Context, addr, command string) (string, error) {
	return r.ssh(ctx, addr, command)
}

// SSHTerminal is SSH with a terminal, whose lines end in CR and LF.
func (r *Room) SSHTerminal(ctx context.Context, addr, command string) (string, error) {
	return r.ssh(ctx, addr, command, "-tt")
}

func (r *Room) ssh(ctx context.Context, addr, command string, options ...string) (string, error) {
	if r.opt.Key == "" {
		return "", errors.New("ssh: the room was opened without a key")
	}
	cmd := r.Command(ctx, "ssh", append(options, "-F", "none", "-i", r.opt.Key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "root@"+addr, "--", command)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("ssh %s %q: %w: %s", addr, command, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// WaitSSH waits until a machine lets root in; when ctx ends, the error is the last try's.
func (r *Room) WaitSSH(ctx context.Context, addr string) error {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	var last error
	for {
		_, err := r.SSH(ctx, addr, "true")
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for ssh: %w", errors.Join(ctx.Err(), last))
		}
	}
}
