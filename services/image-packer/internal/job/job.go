// Package job tells the bus how long work goes on.
package job

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

// every is how often progress is told at most.
const every = 500 * time.Millisecond

// Job is one piece of work. Its methods may be called from several goroutines.
type Job struct {
	conn *bus.Conn
	out  *outbox.Outbox
	log  *slog.Logger

	mu    sync.Mutex
	state *jobv1.Job
	told  time.Time
}

// Start begins a job and tells so. Progress is told while the bus is there; the
// end goes through the outbox.
func Start(conn *bus.Conn, out *outbox.Outbox, log *slog.Logger, service, title string) *Job {
	now := time.Now().UTC().Format(time.RFC3339)
	j := &Job{conn: conn, out: out, log: log, state: &jobv1.Job{
		Id: bus.NewID(), Service: service, Title: title, State: jobv1.State_STATE_RUNNING, Started: now, Updated: now,
	}}
	j.tell(true)
	return j
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

// tell publishes the present state, not more often than every half second unless now is set.
func (j *Job) tell(now bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !now && time.Since(j.told) < every {
		return
	}
	j.told = time.Now()
	if err := j.conn.NATS.Publish(subject.Job(j.state.Service, j.state.Id), j.encode()); err != nil {
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
