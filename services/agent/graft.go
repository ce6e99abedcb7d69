package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/durable"
	"github.com/luna-hpc/luna/pkg/graft"
	"github.com/luna-hpc/luna/services/agent/internal/cmdline"
)

// machine are the commands that a head starts on a running system, over ssh.
var machine = map[string]func(ctx context.Context, in io.Reader, out io.Writer) error{
	"tree": tree,
	"push": push,
}

// onMachine runs a command of a head. The program was put there for this one call: with "once" after the command it
// removes itself and the folder that it lies in, which stays when there is more in it.
func onMachine(ctx context.Context, run func(context.Context, io.Reader, io.Writer) error, args []string, in io.Reader, out io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can read and write a system whole")
	}
	if len(args) == 1 && args[0] == "once" {
		if err := removeSelf(); err != nil {
			return err
		}
	} else if err := none(args); err != nil {
		return err
	}
	return run(ctx, in, out)
}

// removeSelf removes the program, and its folder when nothing else is in it.
func removeSelf() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return removeProgram(self)
}

func removeProgram(file string) error {
	if err := os.Remove(file); err != nil {
		return err
	}
	err := os.Remove(filepath.Dir(file))
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return nil // typed by hand, of a program that lies among others
	}
	return err
}

// tree tells the head what this system has, and sends it the files that it wants.
func tree(ctx context.Context, in io.Reader, out io.Writer) error {
	return graft.Serve(ctx, "/", graft.NewLine(in, out))
}

// releaseFile keeps which release a push has brought.
const releaseFile = "/var/lib/luna/release"

// lockFile is locked while a push goes on.
const lockFile = "/run/luna-push.lock"

// pushed is what releaseFile holds.
type pushed struct {
	Release string `json:"release"`
	// Toward is the release that a push began to bring, and did not end.
	Toward string `json:"toward,omitempty"`
	// Boot is the boot in which it was pushed: one that came later installed what its kernel's line names.
	Boot string `json:"boot"`
}

// push lets the head bring this system to another release.
func push(ctx context.Context, in io.Reader, out io.Writer) error {
	line, _ := cmdline.Read(cmdline.Path) // what is wrong with it was wrong at the boot already
	var told graft.System
	live := graft.Live{Root: "/", Lock: lockFile,
		Told: func() (_ graft.System, err error) { told, err = system(line); return told, err },
		Begin: func(release string) error {
			return remember(pushed{Release: told.Release, Toward: release, Boot: line.Boot})
		},
		Done: func(release string) error { return remember(pushed{Release: release, Boot: line.Boot}) }}
	return live.Receive(ctx, graft.NewLine(in, out))
}

// system tells which release this system has: what was pushed since it was booted, or what was installed then. One with a
// compressed root has the files of the release that the image was made of.
func system(line cmdline.Line) (graft.System, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return graft.System{}, err
	}
	told := graft.System{Release: string(line.Unpacked()), Kernel: string(bytes.TrimRight(u.Release[:], "\x00"))}
	data, err := os.ReadFile(releaseFile)
	if errors.Is(err, os.ErrNotExist) {
		return told, nil
	}
	if err != nil {
		return told, err
	}
	var p pushed
	if err := json.Unmarshal(data, &p); err != nil {
		return told, fmt.Errorf("read %s: %w", releaseFile, err)
	}
	if line.Manifest == "" || p.Boot == line.Boot {
		told.Release, told.Toward = p.Release, p.Toward
	}
	return told, nil
}

func remember(p pushed) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(releaseFile), 0o755); err != nil {
		return err
	}
	if err := renameio.WriteFile(releaseFile, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(releaseFile))
}
