package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Shell is what runs the scripts.
const Shell = "bash"

// linger is how long a finished script's background processes may hold its
// output open.
const linger = 2 * time.Second

// Script is a bash script that runs without a terminal.
type Script struct {
	// Path of the script's file.
	Path string
	// Env is the whole environment, as in os.Environ.
	Env []string
	// Dir is the working directory.
	Dir string
	// Out gets standard output and standard error.
	Out io.Writer
}

// Run runs the script with bash, standard input empty, and returns the last
// lines that it said. The error is not nil when the script's exit status is
// not zero. When ctx ends, the script and all that it started in its process
// group are killed.
func (s Script) Run(ctx context.Context) (*Tail, error) {
	tail := &Tail{}
	cmd := exec.CommandContext(ctx, Shell, s.Path)
	cmd.Env, cmd.Dir = s.Env, s.Dir
	out := io.MultiWriter(tail, s.Out)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = linger
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return tail, fmt.Errorf("%s was stopped: %w", s.Path, context.Cause(ctx))
	case errors.Is(err, exec.ErrWaitDelay):
		// A process in the background still has the output: the script itself ended well.
		return tail, nil
	case err != nil:
		return tail, fmt.Errorf("%s %s: %w", Shell, s.Path, err)
	}
	return tail, nil
}

// Save writes a script's text to path for root only.
func Save(path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o700); err != nil {
		return fmt.Errorf("save script: %w", err)
	}
	return nil
}
