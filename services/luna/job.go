package luna

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

func (a *app) jobCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "long work"}
	cmd.AddCommand(&cobra.Command{Use: "follow SERVICE ID", Short: "show how a job goes on", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.follow(cmd.Context(), args[0], args[1]) }})
	return cmd
}

// quiet is how long a service's job may say nothing before it is given up; a
// service that is not named may be silent for as long as it works.
var quiet = map[string]time.Duration{power: 30 * time.Second}

// follow shows a job until it ends; its failure, or that of its worst part, is the command's.
func (a *app) follow(ctx context.Context, service, id string) error {
	conn, err := a.connect(ctx)
	if err != nil {
		return err
	}
	msgs := make(chan *nats.Msg, 256)
	sub, err := conn.NATS.ChanSubscribe(subject.Job(service, id), msgs)
	if err != nil {
		return fmt.Errorf("follow job %s: %w", id, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	v := a.newViewer()
	defer v.close()
	poll := time.NewTicker(2 * time.Second)
	defer poll.Stop()
	for {
		last, err := lastJob(ctx, conn.JS, service, id)
		if err != nil {
			return err
		}
		for data := last; data != nil; data = nil {
			if done, err := v.show(data); done {
				return err
			}
		}
		if most := quiet[service]; most > 0 && time.Since(v.heard) > most {
			return fault.Unavailablef("outcome unknown: %s has said nothing for %s; is it running? `luna job follow %s %s`", service, most, service, id)
		}
		select {
		case m := <-msgs:
			if done, err := v.show(m.Data); done {
				return err
			}
		case <-poll.C:
		case <-ctx.Done():
			return fault.Unavailablef("not watching any longer; the job goes on: `luna job follow %s %s`", service, id)
		}
	}
}

// lastJob asks the stream for the job's newest state, should a message have been missed.
func lastJob(ctx context.Context, js jetstream.JetStream, service, id string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, subject.Jobs)
	if err != nil {
		return nil, fault.Unavailablef("cannot read jobs: %w", err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject.Job(service, id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Unavailablef("cannot read job %s: %w", id, err)
	}
	return msg.Data, nil
}

// viewer shows a job as a bar on a terminal, as lines elsewhere.
type viewer struct {
	app      *app
	progress *mpb.Progress
	bar      *mpb.Bar
	phase    string
	// updated is when the service told what was shown last, heard when that came.
	updated string
	heard   time.Time
}

func (a *app) newViewer() *viewer {
	v := &viewer{app: a, heard: time.Now()}
	if f, ok := a.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && a.output == "table" {
		v.progress = mpb.New(mpb.WithOutput(f), mpb.WithWidth(50))
	}
	return v
}

func (v *viewer) close() {
	if v.progress == nil {
		return
	}
	if v.bar != nil {
		v.bar.Abort(false)
	}
	v.progress.Wait()
}

// show shows one state; done is true when the job has ended.
func (v *viewer) show(data []byte) (done bool, err error) {
	j := &jobv1.Job{}
	if err := wire.Event(data, j); err != nil {
		return true, fmt.Errorf("decode job: %w", err)
	}
	if j.Updated != v.updated {
		v.updated, v.heard = j.Updated, time.Now()
	}
	v.step(j)
	if j.State != jobv1.State_STATE_DONE && j.State != jobv1.State_STATE_FAILED {
		return false, nil
	}
	v.close()
	v.progress = nil
	if err := v.end(j); err != nil {
		return true, err
	}
	if j.State == jobv1.State_STATE_FAILED {
		return true, fault.New(fault.FromCode(int(j.ErrorCode)), "%s: %s", j.Title, j.Error)
	}
	return true, worst(j)
}

// end shows what came of a job; of one that failed, the results that it has.
func (v *viewer) end(j *jobv1.Job) error {
	sortResults(j.Results)
	failed := j.State == jobv1.State_STATE_FAILED
	if v.app.output != "table" && (!failed || len(j.Results) > 0) {
		return v.app.print(j)
	}
	v.app.printResults(j.Results)
	if !failed {
		for _, n := range j.Notes {
			fmt.Fprintln(v.app.out, n)
		}
	}
	return nil
}

func (v *viewer) step(j *jobv1.Job) {
	if j.Phase != v.phase {
		v.phase = j.Phase
		if v.bar != nil {
			v.bar.SetTotal(-1, true)
			v.bar = nil
		}
		if v.progress == nil && j.Phase != "" && v.app.output == "table" && j.Unit != "nodes" {
			fmt.Fprintf(v.app.out, "%s: %s\n", j.Title, j.Phase)
		}
	}
	if v.progress == nil || j.Total == 0 {
		return
	}
	if v.bar == nil {
		v.bar = newBar(v.progress, j)
	}
	v.bar.SetTotal(j.Total, false)
	v.bar.SetCurrent(j.Done)
}

func newBar(p *mpb.Progress, j *jobv1.Job) *mpb.Bar {
	if j.Unit == "nodes" {
		return p.AddBar(j.Total, mpb.PrependDecorators(decor.Name(j.Title, decor.WCSyncSpaceR), decor.CountersNoUnit("%d / %d")))
	}
	return p.AddBar(j.Total,
		mpb.PrependDecorators(decor.Name(j.Title+": "+j.Phase, decor.WCSyncSpaceR), decor.CountersKiloByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1000(0), "% .1f"), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_MMSS)))
}
