package seen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

const (
	// together is how many events wait for their acknowledgement at once.
	together = 64
	// patience is how long one acknowledgement is waited for.
	patience = 10 * time.Second
	// again is after how long what did not go out is tried anew.
	again = time.Second
)

// Source has the tables that the bus is told of.
type Source interface {
	// Tables returns the newest table of each switch.
	Tables() []Table
	// News is sent to when there is a new table.
	News() <-chan struct{}
}

// Presenter is a task that tells the bus what it does not have yet: at each new table, and of all tables when it is
// connected again. It keeps nothing of its own: what it compares with is the fold of the stream.
type Presenter struct {
	State  *projection.State
	Conn   *bus.Conn
	Source Source
	// Keep is how long an event is good for.
	Keep time.Duration
	Head string
	Log  *slog.Logger
	// Told counts the events.
	Told prometheus.Counter

	// done tells which table of a switch was presented.
	done map[string]time.Time
}

// String returns "events".
func (p *Presenter) String() string { return "events" }

// Ready is always nil: what did not go out is found again by the next round.
func (p *Presenter) Ready() error { return nil }

// Run tells the bus until ctx ends.
func (p *Presenter) Run(ctx context.Context) error {
	p.done = map[string]time.Time{}
	connected := p.Conn.Connected()
	trouble := false
	for ctx.Err() == nil {
		var retry <-chan time.Time
		err := p.present(ctx)
		if err != nil {
			retry = time.After(again)
		}
		if err != nil && !trouble && ctx.Err() == nil {
			p.Log.Info("what switches have learned is not on the bus yet", "err", err)
		}
		trouble = err != nil
		select {
		case <-p.Source.News():
		case <-connected:
			connected = p.Conn.Connected()
			clear(p.done)
		case <-retry:
		case <-ctx.Done():
		}
	}
	return nil
}

// present publishes what is due of the tables that were not presented yet.
func (p *Presenter) present(ctx context.Context) error {
	if err := p.Conn.Up(); err != nil {
		return err
	}
	if _, live := p.State.Revision(subject.Seen); !live {
		return fault.Unavailablef("stream %s is not followed yet", subject.Seen)
	}
	done, last := map[string]time.Time{}, uint64(0) // without the switches that are gone
	var errs []error
	for _, t := range p.Source.Tables() {
		if !p.done[t.SwitchID].Equal(t.At) {
			sequence, err := p.presentOne(ctx, t)
			errs, last = append(errs, err), max(last, sequence)
			if err != nil && errors.Join(ctx.Err(), p.Conn.Up()) != nil {
				break // the others would say the same
			}
			if err != nil {
				continue
			}
		}
		done[t.SwitchID] = t.At
	}
	p.done = done
	return errors.Join(append(errs, p.settle(ctx, last))...)
}

// settle waits until the fold has what was published, so that nothing is told twice.
func (p *Presenter) settle(ctx context.Context, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.State.WaitFor(ctx, subject.Seen, last)
}

// presentOne publishes what is due of one table and returns the last sequence.
func (p *Presenter) presentOne(ctx context.Context, t Table) (uint64, error) {
	all, err := p.due(t, time.Now())
	if err != nil {
		return 0, err
	}
	return p.publish(ctx, all)
}

// due returns the events of a table that the bus must hear of.
func (p *Presenter) due(t Table, now time.Time) ([]*switchpollerv1.Seen, error) {
	old := map[string]*switchpollerv1.Seen{}
	err := p.State.View(func(tx *projection.Tx) error {
		return each(tx, t.SwitchID, "", func(key string, m *switchpollerv1.Seen) bool {
			old[macOf(key)] = m
			return true
		})
	})
	var all []*switchpollerv1.Seen
	for _, l := range t.MACs {
		if e := t.event(l, t.At.Add(p.Keep), p.Head); due(old[l.MAC.Hex()], e, now) {
			all = append(all, e)
		}
	}
	return all, err
}

// publish sends events and returns the last sequence.
func (p *Presenter) publish(ctx context.Context, all []*switchpollerv1.Seen) (last uint64, err error) {
	var (
		group errgroup.Group
		mu    sync.Mutex
	)
	group.SetLimit(together)
	for _, e := range all {
		group.Go(func() error {
			sequence, err := p.send(ctx, e)
			mu.Lock()
			defer mu.Unlock()
			last = max(last, sequence)
			return err
		})
	}
	err = group.Wait()
	return last, err
}

// send publishes one event, which leaves the stream when it is over.
func (p *Presenter) send(ctx context.Context, e *switchpollerv1.Seen) (uint64, error) {
	data, err := wire.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("encode what was seen: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, until := times(e)
	left := max(time.Until(until).Truncate(time.Second)+time.Second, time.Second)
	ack, err := p.Conn.JS.PublishMsg(ctx, &nats.Msg{Subject: subject.SwitchMAC(e.SwitchId, plainMAC(e.Mac)), Data: data},
		jetstream.WithMsgTTL(left), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, fmt.Errorf("publish what was seen: %w", err)
	}
	p.Told.Inc()
	return ack.Sequence, nil
}
