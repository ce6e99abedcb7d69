package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// life is one run of QEMU, from power on to off.
type life struct {
	cmd    *exec.Cmd
	qmp    *qmp
	stderr bytes.Buffer // read only after done
	done   chan struct{}
	err    error // of the process; read only after done
}

// launch runs QEMU, its serial port on our pipes, its control socket on descriptor 3.
func (m *Machine) launch() (*life, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	args := m.arguments()
	cmd := m.room.Command(context.Background(), args[0], args[1:]...)
	l := &life{cmd: cmd, qmp: newQMP(ours), done: make(chan struct{})}
	keys, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = m.console, &l.stderr, []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	m.console.attach(keys)
	go func() {
		defer close(l.done)
		l.err = cmd.Wait()
		m.console.detach()
		ours.Close()
	}()
	return l, nil
}

func (l *life) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// end kills QEMU and waits for it.
func (l *life) end() error {
	err := l.cmd.Process.Signal(syscall.SIGKILL)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-l.done:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("process %d outlived SIGKILL", l.cmd.Process.Pid)
	}
}

// trouble is why QEMU ended by itself, if it was not asked to; only after the end.
func (l *life) trouble() error {
	var exit *exec.ExitError
	if l.err == nil || (errors.As(l.err, &exit) && exit.ExitCode() < 0) {
		return nil
	}
	return fmt.Errorf("qemu: %w: %s", l.err, strings.TrimSpace(l.stderr.String()))
}
