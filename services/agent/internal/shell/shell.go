// Package shell lets a person at a console work on the machine.
package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a console's path, as in /dev/ttyS0.
type Terminal string

// Open writes the greeting and runs a shell on the terminal until it exits or
// ctx ends.
func (t Terminal) Open(ctx context.Context, env []string, greeting string) error {
	tty, err := os.OpenFile(string(t), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open a shell: %w", err)
	}
	defer tty.Close()
	// A terminal that cannot be written to will not run a shell either.
	_, _ = tty.WriteString(greeting)
	cmd := exec.CommandContext(ctx, "bash", "-l")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.Dir = "/"
	cmd.Env = append(env, "TERM="+t.kind())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP) }
	cmd.WaitDelay = 2 * time.Second
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("open a shell on %s: %w", t, err)
	}
	// A shell's exit status is its last command's: no error of ours.
	return nil
}

// kind is what terminfo calls the terminal.
func (t Terminal) kind() string {
	name := filepath.Base(string(t))
	if strings.HasPrefix(name, "tty") && strings.Trim(name[3:], "0123456789") == "" {
		return "linux"
	}
	return "vt220"
}

// Enter waits until somebody presses Enter on the terminal. What was typed
// before does not count.
func (t Terminal) Enter(ctx context.Context) error {
	tty, err := os.OpenFile(string(t), os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", t, err)
	}
	defer tty.Close()
	stop := context.AfterFunc(ctx, func() { tty.Close() })
	defer stop()
	raw, err := tty.SyscallConn()
	if err != nil {
		return fmt.Errorf("listen on %s: %w", t, err)
	}
	if err := raw.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIFLUSH) }); err != nil {
		return fmt.Errorf("listen on %s: %w", t, err)
	}
	buf := make([]byte, 256)
	for {
		n, err := tty.Read(buf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w", t, err)
		}
		if strings.ContainsAny(string(buf[:n]), "\r\n") {
			return nil
		}
	}
}

// Desk opens a shell on each of its terminals on which Enter is pressed.
type Desk struct {
	Terminals []Terminal
	Env       []string
	// Greeting is what a shell begins with.
	Greeting func() string
	// Say is called with what happens, for the consoles.
	Say func(message string, t Terminal, err error)

	mu   sync.Mutex
	open int
	idle chan struct{}
}

// Run watches the terminals until ctx ends, and closes the shells then.
func (d *Desk) Run(ctx context.Context) {
	var terminals sync.WaitGroup
	for _, t := range d.Terminals {
		terminals.Go(func() {
			for ctx.Err() == nil {
				if err := d.serve(ctx, t); err != nil {
					if ctx.Err() == nil {
						d.Say("this console takes no input", t, err)
					}
					return
				}
			}
		})
	}
	terminals.Wait()
}

func (d *Desk) serve(ctx context.Context, t Terminal) error {
	if err := t.Enter(ctx); err != nil {
		return err
	}
	d.count(1)
	defer d.count(-1)
	d.Say("a shell is open, the next try waits until it exits", t, nil)
	err := t.Open(ctx, d.Env, d.Greeting())
	d.Say("the shell has ended", t, nil)
	return err
}

func (d *Desk) count(by int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == 0 {
		d.idle = make(chan struct{})
	}
	if d.open += by; d.open == 0 {
		close(d.idle)
	}
}

// Idle waits until no shell is open.
func (d *Desk) Idle(ctx context.Context) error {
	for {
		d.mu.Lock()
		open, idle := d.open, d.idle
		d.mu.Unlock()
		if open == 0 {
			return ctx.Err()
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
