package job_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

func TestWorkThatIsBegunOnce(t *testing.T) {
	srv := natstest.Start(t)
	conn, log := srv.Connect(t, "power"), slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := outbox.Open(filepath.Join(t.TempDir(), "outbox.db"), conn, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	life, stop := context.WithCancel(ctx)
	go func() { done <- out.Run(life) }()
	defer func() { stop(); <-done }()

	j, begun, err := job.StartOnce(ctx, conn, out, log, "power", "X1", "cycle node001")
	if err != nil || !begun || j.ID() != "X1" {
		t.Fatal(begun, err)
	}
	if again, begun, err := job.StartOnce(ctx, conn, out, log, "power", "X1", "cycle node001"); err != nil || begun || again.ID() != "X1" {
		t.Fatal(begun, err)
	}
	j.Phase("controllers", "nodes")
	j.Result(&jobv1.Result{Name: "node001", Text: "switched off and on"})
	j.Progress(1, 1)
	j.End(nil)
	got := wait(ctx, t, srv, "X1", jobv1.State_STATE_DONE)
	if len(got.Results) != 1 || got.Done != 1 || got.Title != "cycle node001" {
		t.Error(got)
	}
	if _, begun, err := job.StartOnce(ctx, conn, out, log, "power", "X1", ""); err != nil || begun {
		t.Error("begun again after its end", err)
	}
	if err := conn.JS.DeleteStream(ctx, subject.Jobs); err != nil {
		t.Fatal(err)
	}
	_, _, err = job.StartOnce(ctx, conn, out, log, "power", "X2", "")
	if fault.KindOf(err) != fault.Unavailable || !strings.HasPrefix(err.Error(), "not done: ") {
		t.Error(err)
	}
}

func wait(ctx context.Context, t *testing.T, srv *natstest.Server, id string, state jobv1.State) *jobv1.Job {
	t.Helper()
	stream, err := srv.Connect(t, "operator").JS.Stream(ctx, subject.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil {
		msg, err := stream.GetLastMsgForSubject(ctx, subject.Job("power", id))
		if err != nil {
			t.Fatal(err)
		}
		j := &jobv1.Job{}
		if err := wire.Event(msg.Data, j); err != nil {
			t.Fatal(err)
		}
		if j.State == state {
			return j
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("job %s was never %s", id, state)
	return nil
}
