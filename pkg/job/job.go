// Package job tells the bus how long work goes on.
package job

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

// MaxBytes is how long the JSON of a job may be: no message of the bus is over 1 MB.
const MaxBytes = 1e6

const (
	// every is how often progress is told at most, for a job of up to big
	// bytes; one of twice as many is told half as often.
	every = 500 * time.Millisecond
	big   = 64 << 10
)

// Job is one piece of work. Its methods may be called from several goroutines.
type Job struct {
	conn *bus.Conn
	out  *outbox.Outbox
	log  *slog.Logger

	mu    sync.Mutex
	state *jobv1.Job
	told  time.Time
	size  int // bytes of what was told last
}

// Start begins a job and tells so. Progress is told while the bus is there; the
// end goes through the outbox.
func Start(conn *bus.Conn, out *outbox.Outbox, log *slog.Logger, service, title string) *Job {
	j := newJob(conn, out, log, service, bus.NewID(), title)
	j.tell(true)
	return j
}

// StartOnce is Start for work that must not be done twice. The job has the
// given id; begun is false when one with it began before, on whatever head.
// It is Unavailable when the bus does not keep the job.
func StartOnce(ctx context.Context, conn *bus.Conn, out *outbox.Outbox, log *slog.Logger, service, id, title string) (j *Job, begun bool, err error) {
	j = newJob(conn, out, log, service, id, title)
	_, err = conn.JS.Publish(ctx, subject.Job(service, id), j.encode(), jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithRetryAttempts(0))
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return j, false, nil
	case err != nil:
		return nil, false, fault.Unavailablef("not done: the bus does not keep jobs: %w", err)
	}
	return j, true, nil
}

func newJob(conn *bus.Conn, out *outbox.Outbox, log *slog.Logger, service, id, title string) *Job {
	now := time.Now().UTC().Format(time.RFC3339)
	return &Job{conn: conn, out: out, log: log, state: &jobv1.Job{
		Id: id, Service: service, Title: title, State: jobv1.State_STATE_RUNNING, Started: now, Updated: now,
	}}
}

// ID returns the job's id.
func (j *Job) ID() string { return j.state.Id }

// Phase begins another part of the work, measured in a unit.
func (j *Job) Phase(name, unit string) {
	j.mu.Lock()
	j.state.Phase, j.state.Unit, j.state.Done, j.state.Total = name, unit, 0, 0
	j.mu.Unlock()
	j.tell(true)
}

// Progress says how much of the phase is done.
func (j *Job) Progress(done, total int64) {
	j.mu.Lock()
	j.state.Done, j.state.Total = done, total
	j.mu.Unlock()
	j.tell(done == total)
}

// Result adds what came of a part of the work.
func (j *Job) Result(r *jobv1.Result) {
	j.mu.Lock()
	j.state.Results = append(j.state.Results, r)
	j.mu.Unlock()
}

// Note adds a line that is shown at the end.
func (j *Job) Note(lines ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state.Notes = append(j.state.Notes, lines...)
}

// End tells how the job ended.
func (j *Job) End(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state.State = jobv1.State_STATE_DONE
	if err != nil {
		kind := fault.KindOf(err)
		j.state.State, j.state.Error, j.state.ErrorCode = jobv1.State_STATE_FAILED, err.Error(), uint32(kind.Code())
	}
	data := j.encode()
	at := subject.Job(j.state.Service, j.state.Id)
	if err := j.out.Put(outbox.Entry{Subject: at, Data: data}); err != nil {
		// On a full disk whoever follows the job hears of its end if the bus is there.
		err = errors.Join(err, j.conn.NATS.Publish(at, data))
		j.log.Error("end of job not kept", "job", j.state.Id, "err", err)
	}
}

// tell publishes the present state, not more often than every half second, a
// big one less often, unless now is set.
func (j *Job) tell(now bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !now && time.Since(j.told) < every*time.Duration(1+j.size/big) {
		return
	}
	data := j.encode()
	j.told, j.size = time.Now(), len(data)
	if err := j.conn.NATS.Publish(subject.Job(j.state.Service, j.state.Id), data); err != nil {
		j.log.Debug("progress not told", "job", j.state.Id, "err", err)
	}
}

func (j *Job) encode() []byte {
	j.state.Updated = time.Now().UTC().Format(time.RFC3339)
	data, err := wire.Marshal(proto.Clone(j.state))
	if err != nil {
		j.log.Error("encode job", "job", j.state.Id, "err", err)
	}
	return data
}
