// Package poll asks all switches of the inventory, again and again, what they have learned.
package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
	"github.com/luna-hpc/luna/services/switch-poller/internal/seen"
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

// watch is the loop of one switch.
type watch struct {
	id   string
	stop context.CancelFunc
	// wake ends the wait between two rounds.
	wake chan struct{}
	// sequence is that of the switch's last change.
	sequence uint64
	memory   fdb.Memory
	// name is the one that the metrics have.
	name string
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
	for first := true; ; {
		changed := p.state.Changed()
		i, _ := p.state.Revision(subject.Inventory)
		s, _ := p.state.Revision(subject.Secrets)
		if first || i != inventory || s != secrets {
			// While the state cannot be read the switches stay those that they were.
			if err := p.reconcile(ctx, s != secrets); err == nil {
				inventory, secrets, first = i, s, false
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
		select {
		case <-time.After(gather):
		case <-ctx.Done():
			return nil
		}
	}
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

func (p *Poller) failing(id string) bool {
	s, _ := p.book.Status(id)
	return s.Err != nil
}

func (w *watch) hurry() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
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

// watch asks one switch every interval until ctx ends.
func (p *Poller) watch(ctx context.Context, w *watch) {
	doubt := false
	for ctx.Err() == nil {
		leave := p.lanes.enter(ctx, doubt)
		if leave == nil {
			return
		}
		next := time.NewTimer(p.terms.Interval)
		err := p.round(ctx, w)
		leave()
		if err != nil && !doubt && ctx.Err() == nil {
			p.log.Warn("switch is not polled", "switch", w.name, "err", err)
		}
		if err == nil && doubt {
			p.log.Info("switch is polled again", "switch", w.name)
		}
		doubt = err != nil
		select {
		case <-next.C:
		case <-w.wake:
		case <-ctx.Done():
		}
		next.Stop()
	}
}

// round asks a switch once and notes what came of it.
func (p *Poller) round(ctx context.Context, w *watch) error {
	began := time.Now()
	t, err := find(p.state, p.key, w.id)
	if t == nil {
		return err // it is gone, or the state is not there
	}
	w.rename(t.Name, p.metrics)
	var macs []fdb.Learned
	if err == nil {
		macs, err = p.ask(ctx, w, t, began)
	}
	took := time.Since(began)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.metrics.round(t.Name, len(macs), took, err)
	if err != nil {
		p.book.bad(w.id, err, took)
		return err
	}
	p.book.good(seen.Table{SwitchID: w.id, At: began, MACs: macs}, took)
	return nil
}

func (w *watch) rename(name string, m *metrics) {
	if w.name != name && w.name != "" {
		m.forget(w.name)
	}
	w.name = name
}

// ask reads the forwarding table of a switch.
func (p *Poller) ask(ctx context.Context, w *watch, t *target, now time.Time) ([]fdb.Learned, error) {
	ctx, cancel := context.WithTimeout(ctx, p.terms.Limit)
	defer cancel()
	addr, err := netip.ParseAddr(t.Ip)
	if err != nil {
		return nil, fmt.Errorf("address of the switch: %w", err)
	}
	session, err := walk.Dial(ctx, netip.AddrPortFrom(addr, p.terms.Port), t.login, p.terms.Walk)
	if err != nil {
		return nil, err
	}
	table, err := fdb.Read(ctx, session, t.Oid)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("it was not read whole in %s: %w", p.terms.Limit, err)
	}
	if err = errors.Join(err, session.Close()); err != nil {
		return nil, err
	}
	before, err := seen.Ports(p.state, w.id)
	if err != nil {
		return nil, err
	}
	up := fdb.Uplinks{Named: t.Uplinks, Most: p.terms.Most}
	return w.memory.Settle(table, up, func(m fdb.MAC) uint32 { return before[m.Hex()] }, now), nil
}
