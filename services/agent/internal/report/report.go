package report

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/services/agent/internal/head"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// patience is how long one report may keep the install waiting.
const patience = 3 * time.Second

// Sender delivers what a node tells. *head.Head is one.
type Sender interface {
	Report(context.Context, *bootscript.Report) error
	Hardware(context.Context, *bootscript.Hardware) error
}

// Reporter reports the steps of one boot.
type Reporter struct {
	Spool Spool
	Boot  string
	Head  Sender
	Log   *slog.Logger
	// Nudge, when not nil, makes another process drain the spool and tells
	// whether one will. Without one the Reporter does it itself.
	Nudge func(context.Context) bool
	// Now is time.Now but for tests.
	Now func() time.Time
}

// Send fills in id, boot and time, and sends the report after all that wait.
// It returns after a few seconds at most: what could not be sent stays in the
// spool. A report that cannot even be kept is logged.
func (r *Reporter) Send(ctx context.Context, report *bootscript.Report) {
	report = proto.CloneOf(report)
	report.Id, report.BootId = rand.Text(), r.Boot
	report.Time = r.Now().UTC().Format(time.RFC3339Nano)
	r.keep(ctx, letter{step: report})
}

// Hardware fills in the boot and sends what the machine is made of, as Send does.
func (r *Reporter) Hardware(ctx context.Context, found *bootscript.Hardware) {
	found = proto.CloneOf(found)
	found.BootId = r.Boot
	r.keep(context.WithoutCancel(ctx), letter{hardware: found})
}

func (r *Reporter) keep(ctx context.Context, l letter) {
	data, err := l.encode()
	if err == nil {
		err = r.Spool.Add(data)
	}
	if err != nil {
		r.Log.Error("a step is not reported", "step", l.name(), "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if r.Nudge != nil && r.Nudge(ctx) {
		return
	}
	if err := r.Flush(ctx); err != nil {
		r.Log.Warn("the head does not hear", "waiting", r.waiting(), "err", err)
	}
}

// Flush sends all that waits, the oldest first. What the head refuses is logged
// and dropped, so that it does not hold up the others.
func (r *Reporter) Flush(ctx context.Context) error {
	return r.Spool.Drain(func(data []byte) error {
		l, err := decode(data)
		if err != nil {
			r.Log.Error("a spooled report is damaged", "err", err)
			return nil
		}
		err = l.send(ctx, r.Head)
		if head.IsRefused(err) {
			r.Log.Warn("the head refuses a report", "step", l.name(), "err", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("report %s: %w", l.name(), err)
		}
		return nil
	})
}

func (r *Reporter) waiting() int {
	n, err := r.Spool.Waiting()
	if err != nil {
		return 0
	}
	return n
}

// Started reports that a step begins.
func (r *Reporter) Started(ctx context.Context, name, tried string) {
	r.Send(ctx, &bootscript.Report{Name: name, State: bootscript.State_STATE_STARTED, Tried: tried})
}

// Result is what a step that ended tells.
type Result struct {
	// Tried is what was done, as a command or a URL.
	Tried string
	// Output is the last lines said.
	Output string
	Values map[string]string
}

// Step reports that a step started, does it, and reports how it ended. It
// returns do's error.
func (r *Reporter) Step(ctx context.Context, name, tried string, do func(context.Context) (Result, error)) error {
	r.Started(ctx, name, tried)
	begin := r.Now()
	result, err := do(ctx)
	if result.Tried == "" {
		result.Tried = tried
	}
	r.Ended(ctx, name, r.Now().Sub(begin), result, err)
	return err
}

// Ended reports how a step ended: well when err is nil.
func (r *Reporter) Ended(ctx context.Context, name string, took time.Duration, result Result, err error) {
	report := &bootscript.Report{
		Name: name, State: bootscript.State_STATE_OK, Tried: result.Tried, Output: result.Output,
		Values: result.Values, Seconds: took.Round(time.Millisecond).Seconds(),
	}
	if err != nil {
		report.State, report.Error = bootscript.State_STATE_FAILED, err.Error()
	}
	// How it ended is worth telling also when it ended because ctx did.
	r.Send(context.WithoutCancel(ctx), report)
}
