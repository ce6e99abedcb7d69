// Package command takes the commands to switch nodes and does them as jobs.
package command

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/hostlist"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	powerv1 "github.com/luna-hpc/luna/proto/power/v1"
	"github.com/luna-hpc/luna/services/power/internal/controller"
	"github.com/luna-hpc/luna/services/power/internal/roster"
	"github.com/luna-hpc/luna/services/power/internal/round"
)

const (
	service = "power"
	// beat is how often a job is told at least, so that who follows knows that it goes on.
	beat = 5 * time.Second
	// MostAtOnce is the highest limit, MostStagger the longest stagger of a request.
	MostAtOnce  = 1024
	MostStagger = time.Minute
)

// Commands takes commands and does them in the background; a run.Task.
type Commands struct {
	conn  *bus.Conn
	log   *slog.Logger
	state *projection.State
	out   *outbox.Outbox
	key   secret.Key
	round round.Round

	mu    sync.Mutex
	ctx   context.Context // the life of the jobs; set by Run
	jobs  sync.WaitGroup
	ended chan struct{}
}

// New returns commands that are refused until Run. r is how controllers are
// asked when a request does not say otherwise.
func New(d run.Deps, state *projection.State, out *outbox.Outbox, key secret.Key, r round.Round) *Commands {
	return &Commands{conn: d.Bus, log: d.Log, state: state, out: out, key: key, round: r, ended: make(chan struct{})}
}

// Endpoints returns a command for every action.
func (c *Commands) Endpoints() []bus.Endpoint {
	all := make([]bus.Endpoint, 0, len(controller.Actions))
	for _, a := range controller.Actions {
		all = append(all, bus.Handle("node", string(a), func(ctx context.Context, call bus.Call, req *powerv1.PowerRequest) (*jobv1.JobReply, error) {
			return c.begin(ctx, call, a, req)
		}))
	}
	return all
}

// Run lets jobs be done until ctx ends; running ones are given up then.
func (c *Commands) Run(ctx context.Context) error {
	defer close(c.ended)
	c.mu.Lock()
	c.ctx = ctx
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.ctx = nil
	c.mu.Unlock()
	c.jobs.Wait()
	return nil
}

// Ended is closed when Run has ended and no job will tell anything any more.
func (c *Commands) Ended() <-chan struct{} { return c.ended }

// Ready is nil: commands may be done at any time.
func (c *Commands) Ready() error { return nil }

// String returns "jobs".
func (c *Commands) String() string { return "jobs" }

// begin begins a job; a command with the id of an earlier one gets that one's job.
func (c *Commands) begin(ctx context.Context, call bus.Call, a controller.Action, req *powerv1.PowerRequest) (*jobv1.JobReply, error) {
	r, err := c.roundOf(req)
	if err != nil {
		return nil, err
	}
	entries, err := c.find(ctx, req)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		return nil, fault.Unavailablef("not done: the service is stopping")
	}
	j, begun, err := job.StartOnce(ctx, c.conn, c.out, c.log, service, subject.Token(call.ID), title(a, req, entries))
	if err != nil {
		return nil, err
	}
	if begun {
		life := c.ctx
		c.log.Info("asking controllers", "action", a, "nodes", len(entries), "job", j.ID(), "author", call.Author)
		c.jobs.Go(func() { work(life, r, a, entries, j) })
	}
	return &jobv1.JobReply{JobId: j.ID()}, nil
}

// roundOf is how the controllers of a request are asked.
func (c *Commands) roundOf(req *powerv1.PowerRequest) (round.Round, error) {
	r := c.round
	if req.Limit > MostAtOnce {
		return r, fault.Invalidf("limit %d: at most %d controllers can be asked at once", req.Limit, MostAtOnce)
	}
	if req.Limit > 0 {
		r.Limit = int(req.Limit)
	}
	if req.Stagger != nil {
		r.Stagger = time.Duration(*req.Stagger) * time.Millisecond
	}
	if r.Stagger > MostStagger {
		return r, fault.Invalidf("stagger %s: it must be %s or less", r.Stagger, MostStagger)
	}
	return r, nil
}

// find looks into a state that shows what the bus holds now.
func (c *Commands) find(ctx context.Context, req *powerv1.PowerRequest) (entries []roster.Entry, err error) {
	if err := c.state.CatchUp(ctx); err != nil {
		return nil, err
	}
	err = c.state.View(func(tx *projection.Tx) (err error) {
		entries, err = roster.Find(tx, c.key, req)
		return err
	})
	return entries, err
}

// title names a job, as in "cycle node[001-003]".
func title(a controller.Action, req *powerv1.PowerRequest, entries []roster.Entry) string {
	switch {
	case req.Group != "":
		return string(a) + " group " + req.Group
	case req.All:
		return string(a) + " all nodes"
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Node
	}
	list := hostlist.Fold(names)
	if len(list) > 200 {
		list = list[:200] + "…"
	}
	return string(a) + " " + list
}

// work asks all controllers and tells the job.
func work(ctx context.Context, r round.Round, a controller.Action, entries []roster.Entry, j *job.Job) {
	total := int64(len(entries))
	done := int64(0)
	j.Phase("controllers", "nodes")
	news := make(chan *jobv1.Result)
	go func() {
		defer close(news)
		r.Run(ctx, a, entries, func(res *jobv1.Result) { news <- res })
	}()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case res, more := <-news:
			if !more {
				j.End(stopped(ctx))
				return
			}
			done++
			j.Result(res)
		case <-tick.C:
		}
		j.Progress(done, total)
	}
}

func stopped(ctx context.Context) error {
	if ctx.Err() != nil {
		return fault.Unavailablef("the service was stopped; the results say which nodes were asked")
	}
	return nil
}
