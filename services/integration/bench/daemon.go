package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// daemon is a foreign server that runs, with what it started.
type daemon struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// launch starts a command of a namespace, which leads a process group; its output goes to a file.
func launch(cmd *exec.Cmd, log string) (*daemon, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr.Pdeathsig = 0 // it would be killed with the thread that starts it
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(d.done) }()
	return d, nil
}

func (d *daemon) group() int { return d.cmd.Process.Pid }

// stop kills the group; to have ended by itself is an error.
func (d *daemon) stop() error {
	select {
	case <-d.done:
		return fmt.Errorf("%s ended by itself", d.cmd.Args[4])
	default:
	}
	if err := syscall.Kill(-d.group(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-d.done
	return nil
}

// clock counts the processor time of a process group while something is measured.
type clock struct {
	group int
	began time.Time
	spent time.Duration
}

func startClock(group int) clock {
	return clock{group: group, began: time.Now(), spent: spentBy(group)}
}

// busy returns how many processors the group has kept busy since the clock was started.
func (c clock) busy() float64 {
	return (spentBy(c.group) - c.spent).Seconds() / time.Since(c.began).Seconds()
}

// tick is the unit of processor times in /proc, USER_HZ, the same on all machines.
const tick = 10 * time.Millisecond

// spentBy adds up the processor times of a process group's processes.
func spentBy(group int) (spent time.Duration) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		_, rest, _ := bytes.Cut(data[bytes.LastIndexByte(data, ')')+1:], []byte(" "))
		fields := bytes.Fields(rest) // state, parent, group, … user and system time, proc(5)
		if len(fields) < 13 || string(fields[2]) != strconv.Itoa(group) {
			continue
		}
		for _, f := range fields[11:13] {
			n, _ := strconv.Atoi(string(f)) // the kernel writes numbers
			spent += time.Duration(n) * tick
		}
	}
	return spent
}
