package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/script"
	"github.com/luna-hpc/luna/services/agent/internal/shell"
)

// try is what the install script told during one try.
type try struct {
	running, finished atomic.Bool
}

func (t *try) begin() { t.finished.Store(false); t.running.Store(true) }

func (t *try) finish() error {
	if !t.running.Load() {
		return errors.New("no install script runs")
	}
	t.finished.Store(true)
	return nil
}

// failure is what ended a try.
type failure struct {
	step   string
	err    error
	result report.Result
}

// install fetches the install script and runs it, again and again until it
// succeeds. The same failure again and again is no news for the head: it is
// told at times only.
func (b *Boot) install(ctx context.Context, card string, desk *shell.Desk) error {
	const news = 10 * time.Minute
	var last string
	var told time.Time
	for {
		begin := time.Now()
		if last != "" && begin.Sub(told) < news {
			b.hush.begin(b)
		}
		f := b.once(ctx, card)
		if f == nil || ctx.Err() != nil {
			b.hush.end(b, false)
			return ctx.Err()
		}
		b.Log.Error("the node is not installed, next try in 10 s; Enter opens a shell", "err", f.err)
		this := f.step + f.err.Error()
		if !b.hush.end(b, this == last) {
			b.Report.Ended(ctx, f.step, time.Since(begin), f.result, f.err)
			last, told = this, begin
		}
		if err := wait(ctx, b.pause, desk); err != nil {
			return err
		}
	}
}

// once makes one try; it returns nil when the system is installed.
func (b *Boot) once(ctx context.Context, card string) *failure {
	begin := time.Now()
	text, from, err := b.Head.Script(ctx)
	result := report.Result{Tried: "GET " + from}
	if err != nil {
		return &failure{"install.request", err, result}
	}
	b.Report.Ended(ctx, "install.request", time.Since(begin), result, nil)
	if err := b.clear(b.Root); err != nil {
		return &failure{"agent.failed", fmt.Errorf("undo the last try: %w", err), report.Result{Tried: "unmount " + b.Root}}
	}
	tail, err := b.run(ctx, text, card)
	if err == nil {
		return nil
	}
	return &failure{"agent.failed", err, report.Result{Tried: result.Tried, Output: tail.String()}}
}

func (b *Boot) run(ctx context.Context, text []byte, card string) (*script.Tail, error) {
	path := filepath.Join(b.Run, "install.sh")
	err := errors.Join(os.MkdirAll(b.Root, 0o755), script.Save(path, text), forget(b.Run))
	if err != nil {
		return &script.Tail{}, err
	}
	b.try.begin()
	defer b.try.running.Store(false)
	tail, err := script.Script{Path: path, Env: b.environment(card), Dir: "/", Out: b.Consoles}.Run(ctx)
	switch why := Recall(b.Run); {
	case err != nil && why != "":
		return tail, errors.New(why)
	case err != nil:
		return tail, fmt.Errorf("the install script failed: %w", err)
	case !b.try.finished.Load():
		return tail, errors.New("the install script ended without luna-agent finish")
	}
	return tail, nil
}

// environment is what the scripts and shells see.
func (b *Boot) environment(card string) []string {
	return []string{
		"PATH=" + Path, "HOME=/root", "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=linux",
		"LUNA_NODE=" + b.Line.Node, "LUNA_URL=" + b.Line.URL.String(), "LUNA_BOOTIF=" + card,
		"LUNA_MANIFEST=" + b.Line.Manifest.String(), "LUNA_SYSROOT=" + b.Root,
	}
}

// Path is where programs are in an initrd.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Remember keeps why a command of the install script failed, for the report of
// the whole try.
func Remember(run, step string, why error) error {
	if err := os.WriteFile(remembered(run), []byte(step+": "+why.Error()), 0o600); err != nil {
		return fmt.Errorf("keep the failure: %w", err)
	}
	return nil
}

// Recall returns what was remembered since the try began.
func Recall(run string) string {
	data, err := os.ReadFile(remembered(run))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(data), "?")
}

func forget(run string) error {
	if err := os.Remove(remembered(run)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the last failure: %w", err)
	}
	return nil
}

func remembered(run string) string { return filepath.Join(run, "failure") }
