// Package boot takes a node from its initrd to the installed system.
package boot

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/cmdline"
	"github.com/luna-hpc/luna/services/agent/internal/console"
	"github.com/luna-hpc/luna/services/agent/internal/control"
	"github.com/luna-hpc/luna/services/agent/internal/download"
	"github.com/luna-hpc/luna/services/agent/internal/head"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/shell"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// Pause is the time between tries.
const Pause = 10 * time.Second

// Boot is one boot of this node.
type Boot struct {
	Line cmdline.Line
	// Run is the folder for what the boot keeps, Root where the installed
	// system is made.
	Run, Root string
	Consoles  *console.Set
	Log       *slog.Logger
	Head      *head.Head
	Report    *report.Reporter
	Keeper    *download.Keeper

	secrets secrets
	nudges  chan struct{}
	try     try
	hush    hush
	about   about
	// system is where the kernel shows the machine: / but for tests.
	system string
	// clear undoes what a try has mounted.
	clear func(root string) error
	// pause is the time between tries.
	pause time.Duration
}

// Socket is where the boot process listens in its folder.
func Socket(run string) string { return filepath.Join(run, "agent.sock") }

// New returns the boot that the line asks for.
func New(line cmdline.Line, run, root string, consoles *console.Set, log *slog.Logger) *Boot {
	h := head.New(line.URL, line.Heads, line.Node, line.Token)
	b := &Boot{
		Line: line, Run: run, Root: root, Consoles: consoles, Log: log, Head: h,
		Keeper: NewKeeper(run, line.Address.Masked(), log), nudges: make(chan struct{}, 1), pause: Pause, clear: sysroot.Clear, system: "/",
	}
	b.Report = &report.Reporter{
		Spool: report.Spool{Dir: filepath.Join(run, "spool")}, Boot: line.Boot, Head: h, Log: log, Now: time.Now,
		// The boot process itself sends beside its work, and never waits.
		Nudge: func(context.Context) bool { b.nudge(); return true },
	}
	return b
}

// Go boots: it returns nil when the installed system is ready to be started
// and nothing of the boot is left. In service mode it returns when ctx ends.
func (b *Boot) Go(ctx context.Context) error {
	if err := os.MkdirAll(b.Run, 0o700); err != nil {
		return err
	}
	b.prepare(ctx)
	asked := askBMC(ctx)
	listener, err := control.Listen(Socket(b.Run))
	if err != nil {
		return err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	server := &control.Server{Log: b.Log, Handlers: b.handlers()}
	beside.Go(func() {
		if err := server.Run(inner, listener); err != nil {
			b.Log.Error("commands cannot reach the boot process", "err", err)
		}
	})
	desk := b.desk()
	if b.Line.Service {
		beside.Go(func() { b.shells(inner, desk) })
	} else {
		beside.Go(func() { desk.Run(inner) })
	}
	card, err := b.network(ctx, desk)
	if err != nil {
		return err
	}
	beside.Go(func() { b.deliver(inner) })
	b.hardware(ctx, asked)
	ssh := b.ssh(ctx)
	if b.Line.Service {
		return b.service(ctx)
	}
	if err := b.install(ctx, card, desk); err != nil {
		return err
	}
	// From here on nobody may start anything.
	stop()
	beside.Wait()
	return b.leave(ctx, card, ssh)
}

// handlers are what the install script's commands may ask.
func (b *Boot) handlers() map[string]control.Handler {
	return map[string]control.Handler{
		"flush": func(context.Context, json.RawMessage, func(any) error) error { b.nudge(); return nil },
		"about": func(_ context.Context, _ json.RawMessage, send func(any) error) error { return b.aboutNode(send) },
		"finish": func(ctx context.Context, _ json.RawMessage, _ func(any) error) error {
			b.keepOrder(ctx)
			return b.try.finish()
		},
		"secret": func(ctx context.Context, _ json.RawMessage, send func(any) error) error {
			told, err := b.secrets.get(ctx, b.Head)
			if err != nil {
				return err
			}
			return send(told)
		},
		"payload": func(ctx context.Context, request json.RawMessage, send func(any) error) error {
			var r download.Request
			if err := json.Unmarshal(request, &r); err != nil {
				return err
			}
			return b.Keeper.Follow(ctx, r, func(e download.Event) error { return send(e) })
		},
		"drop": func(_ context.Context, request json.RawMessage, _ func(any) error) error {
			var segment string
			if err := json.Unmarshal(request, &segment); err != nil {
				return err
			}
			return b.Keeper.Drop(segment)
		},
	}
}

// nudge makes deliver send what waits.
func (b *Boot) nudge() {
	select {
	case b.nudges <- struct{}{}:
	default:
	}
}

// deliver sends the reports that wait, again and again until ctx ends.
func (b *Boot) deliver(ctx context.Context) {
	const patience, again = 10 * time.Second, 5 * time.Second
	said := ""
	for {
		select {
		case <-b.nudges:
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
		if b.hush.on() {
			continue
		}
		sending, cancel := context.WithTimeout(ctx, patience)
		err := b.Report.Flush(sending)
		cancel()
		switch {
		case err == nil || ctx.Err() != nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			b.Log.Warn("the head does not hear, its reports wait", "err", err)
		}
	}
}

// desk serves shells on the consoles.
func (b *Boot) desk() *shell.Desk {
	return Desk(b.Line.Console, b.Consoles.Names(), b.environment(""), func() string { return b.about.text(b.Line) }, b.Log)
}

// Desk returns the desk of the terminals that get a shell: only when it is
// not empty, else all. Each shell begins with the greeting.
func Desk(only string, names, env []string, greeting func() string, log *slog.Logger) *shell.Desk {
	if only != "" {
		names = []string{only}
	}
	d := &shell.Desk{Env: env, Greeting: greeting}
	for _, name := range names {
		d.Terminals = append(d.Terminals, shell.Terminal("/dev/"+name))
	}
	d.Say = func(message string, t shell.Terminal, err error) {
		if err != nil {
			log.Warn(message, "console", t, "err", err)
			return
		}
		log.Info(message, "console", t)
	}
	return d
}

// wait waits until the next try, which an open shell puts off.
func wait(ctx context.Context, pause time.Duration, desk *shell.Desk) error {
	select {
	case <-time.After(pause):
		return desk.Idle(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}
