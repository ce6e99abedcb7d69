package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/boot"
	"github.com/luna-hpc/luna/services/agent/internal/cmdline"
	"github.com/luna-hpc/luna/services/agent/internal/control"
	"github.com/luna-hpc/luna/services/agent/internal/head"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/selinux"
)

// Where things are, unless the environment says otherwise, as tests do.
const (
	defaultRun  = "/run/luna"
	defaultRoot = "/sysroot"
)

// tool is what a command works with.
type tool struct {
	line      cmdline.Line
	run, root string
	head      *head.Head
	report    *report.Reporter
	system    *selinux.System
	log       *slog.Logger
	in        io.Reader
	out       io.Writer
}

func newTool(log *slog.Logger, in io.Reader, out io.Writer) (*tool, error) {
	line, err := cmdline.Read(fromEnv("LUNA_CMDLINE", cmdline.Path))
	if err != nil {
		return nil, err
	}
	t := &tool{
		line: line, run: fromEnv("LUNA_RUN", defaultRun), root: fromEnv("LUNA_SYSROOT", defaultRoot),
		head: head.New(line.URL, line.Heads, line.Node, line.Token), log: log, in: in, out: out,
	}
	if err := os.MkdirAll(t.run, 0o700); err != nil {
		return nil, fmt.Errorf("make the boot's folder: %w", err)
	}
	t.system = selinux.New(t.root)
	t.report = &report.Reporter{
		Spool: report.Spool{Dir: filepath.Join(t.run, "spool")}, Boot: line.Boot, Head: t.head, Log: log, Now: time.Now,
		Nudge: func(ctx context.Context) bool { return t.call(ctx, "flush", nil, nil) == nil },
	}
	return t, nil
}

func fromEnv(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// failed keeps why a step failed for the report of the whole script, and
// returns the error with the step's name.
func (t *tool) failed(step string, err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%s: %w", step, err), boot.Remember(t.run, step, err))
}

// none refuses arguments.
func none(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("argument %q is too much", args[0])
	}
	return nil
}

// call asks the boot process.
func (t *tool) call(ctx context.Context, op string, request any, each eventFunc) error {
	return control.Call(ctx, boot.Socket(t.run), op, request, each)
}
