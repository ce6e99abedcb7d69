package poll

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
	"github.com/luna-hpc/luna/services/switch-poller/internal/seen"
	"github.com/luna-hpc/luna/services/switch-poller/internal/walk"
)

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

func (w *watch) hurry() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
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
