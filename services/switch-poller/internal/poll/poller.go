// Package poll asks all switches of the inventory, again and again, what they have learned.
package poll

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/walk"
)

// gather is how long changes of the inventory are gathered before they are looked at.
const gather = 100 * time.Millisecond

// Terms say how switches are asked.
type Terms struct {
	// Interval is from one round's beginning to the next's, Limit how long one round may take.
	Interval, Limit time.Duration
	// Workers is how many switches are asked at once.
	Workers int
	// Port is the UDP port of SNMP.
	Port uint16
	// Most is how many MACs a port may have that is no uplink.
	Most int
	// Walk bounds single answers and tables.
	Walk walk.Limits
}

// Poller is a task that asks every switch in a loop of its own, so that none is asked twice at once.
type Poller struct {
	terms   Terms
	state   *projection.State
	key     secret.Key
	book    *Book
	log     *slog.Logger
	metrics *metrics
	lanes   lanes

	watches map[string]*watch
	running sync.WaitGroup
}

// New returns a poller of the switches of a state; it writes into the book.
func New(t Terms, state *projection.State, key secret.Key, book *Book, log *slog.Logger, reg prometheus.Registerer) *Poller {
	return &Poller{terms: t, state: state, key: key, book: book, log: log, metrics: newMetrics(reg),
		lanes: newLanes(t.Workers), watches: map[string]*watch{}}
}

// String returns "poller".
func (p *Poller) String() string { return "poller" }

// Ready is always nil: switches that do not answer are told by switch.list.
func (p *Poller) Ready() error { return nil }

// Run watches the switches that there are until ctx ends.
func (p *Poller) Run(ctx context.Context) error {
	defer p.running.Wait()
	var inventory, secrets uint64
	first := true
	return p.state.AfterChanges(ctx, gather, func() error {
		i, _ := p.state.Revision(subject.Inventory)
		s, _ := p.state.Revision(subject.Secrets)
		if first || i != inventory || s != secrets {
			// While the state cannot be read the switches stay those that they were.
			if err := p.reconcile(ctx, s != secrets); err == nil {
				inventory, secrets, first = i, s, false
			}
		}
		return nil
	})
}

// reconcile makes the watches those of the inventory, and lets changed switches be asked at once.
func (p *Poller) reconcile(ctx context.Context, newSecrets bool) error {
	there := map[string]uint64{}
	err := catalog.Read(p.state, func(v catalog.View) error {
		return v.Each(catalog.Switch, "", func(o *inventoryv1.Object) bool {
			there[o.GetSwitch().GetId()] = o.Sequence
			return true
		})
	})
	if err != nil {
		return err
	}
	for id, w := range p.watches {
		if _, known := there[id]; !known {
			w.stop()
			delete(p.watches, id)
		}
	}
	for id, sequence := range there {
		w := p.watches[id]
		switch {
		case w == nil:
			p.start(ctx, id, sequence)
		case w.sequence != sequence, newSecrets && p.failing(id):
			w.sequence = sequence
			w.hurry()
		}
	}
	return nil
}

// failing tells whether a new secret may be what a switch has waited for.
func (p *Poller) failing(id string) bool {
	s, ended := p.book.Status(id)
	return !ended || s.Err != nil
}

func (p *Poller) start(ctx context.Context, id string, sequence uint64) {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{id: id, stop: stop, wake: make(chan struct{}, 1), sequence: sequence}
	p.watches[id] = w
	p.running.Go(func() {
		defer stop()
		p.watch(ctx, w)
		p.book.forget(id)
		p.metrics.forget(w.name)
	})
}
