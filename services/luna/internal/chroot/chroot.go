// Package chroot runs a command in the directory of an image as if it were booted.
package chroot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inside is the first argument of the process that Run starts; a program that calls Run calls
// Enter when it has it.
const Inside = "inside-image"

// Options say what to run and where.
type Options struct {
	// Root is the image's directory.
	Root string
	// Release is what uname(2) answers in it for the kernel's release.
	Release string
	// Command and its arguments; a login shell when empty.
	Command  []string
	In       io.Reader
	Out, Err io.Writer
}

// Run runs the command in mount and process namespaces of its own: whatever is mounted or started
// there ends with it, also when this process is killed. It returns the command's exit status, as a
// shell counts it. It needs root's rights.
func Run(o Options) (status int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return 0, err
	}
	defer ours.Close()
	cmd := exec.Command(self)
	cmd.Args = append([]string{"luna", Inside, o.Root}, o.Command...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.In, o.Out, o.Err
	cmd.ExtraFiles = []*os.File{theirs}
	// The thread must not end before the command: its end is the parent's death to Pdeathsig.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer signal.Stop(signals)
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return 0, fmt.Errorf("enter %s: %w", o.Root, err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTERM { // the terminal sends the others to the command itself
					_ = cmd.Process.Kill() // it may have ended
				}
			case <-ended:
				return
			}
		}
	}()
	served := make(chan error, 1)
	go func() { served <- serve(ours, o.Release) }()
	err = cmd.Wait()
	var exit *exec.ExitError
	if serveErr := <-served; serveErr != nil && err == nil {
		return 0, serveErr
	}
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// socketPair returns the two ends over which the filter's listener comes.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs"), nil
}
