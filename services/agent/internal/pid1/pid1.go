// Package pid1 is process 1 of the initrd: it reaps, keeps the boot process running, and becomes the installed system's init.
package pid1

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// self is this program, whatever its name is.
const self = "/proc/self/exe"

// pause is the time after which a boot process that died is started again.
const pause = 10 * time.Second

// Init is process 1.
type Init struct {
	// Root is where the boot process leaves the installed system.
	Root string
	// Command is the boot process's arguments, with the program's name first.
	Command []string
	// Argv is what the installed system starts with.
	Argv []string
	Log  *slog.Logger
}

// Run never returns: the kernel panics when process 1 ends.
func (i *Init) Run() {
	// Signals whose default would end a Go program; process 1 has nothing to do with them.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for range ignored {
		}
	}()
	for {
		err := i.boot()
		killAll()
		if err == nil {
			err = i.become()
		}
		i.Log.Error("the boot process starts again in 10 s", "err", err)
		time.Sleep(pause)
	}
}

// boot runs the boot process to its end.
func (i *Init) boot() error {
	pid, err := syscall.ForkExec(self, i.Command, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start the boot process: %w", err)
	}
	status, err := reapUntil(pid)
	if err != nil {
		return fmt.Errorf("wait for the boot process: %w", err)
	}
	if status.Signaled() {
		return fmt.Errorf("the boot process died of %s", status.Signal())
	}
	if code := status.ExitStatus(); code != 0 {
		return fmt.Errorf("the boot process ended with status %d", code)
	}
	return nil
}

// reapUntil waits for every child that ends, until pid has ended.
func reapUntil(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, err
		case got == pid && (status.Exited() || status.Signaled()):
			return status, nil
		}
	}
}

// become switches to the installed system. It returns when that failed early
// enough to try again.
func (i *Init) become() error {
	moved, err := sysroot.Switch(i.Log, i.Root, i.Argv, os.Environ())
	if !moved {
		return fmt.Errorf("switch to the installed system: %w", err)
	}
	// The initrd is gone. A shell of the installed system is all that is left to offer.
	i.Log.Error("the installed system does not start; here is a shell of it", "err", err)
	for _, path := range []string{"/bin/bash", "/bin/sh"} {
		err = errors.Join(err, unix.Exec(path, []string{path}, os.Environ()))
	}
	i.Log.Error("and it has no shell; switch the machine off", "err", err)
	select {}
}
