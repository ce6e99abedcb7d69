// Package current keeps the zones that match the state of the inventory.
package current

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dns/internal/zone"
)

// Zones is a task that builds the zones anew whenever the state changes.
type Zones struct {
	state *projection.State
	nodes *catalog.Roll
	head  string
	times zone.Times
	log   *slog.Logger
	now   atomic.Pointer[built]
	took  prometheus.Gauge

	mu      sync.Mutex
	rebuilt chan struct{}
}

type built struct {
	set  *zone.Set
	site Site
}

// Site is where the cluster's addresses are.
type Site struct {
	// Heads are the frontend address and the addresses of all heads.
	Heads []netip.Addr
	// Networks are the cluster's networks.
	Networks []netip.Prefix
}

// New returns zones that follow a state; there are none until Run built them.
func New(state *projection.State, head string, times zone.Times, log *slog.Logger, reg prometheus.Registerer) *Zones {
	z := &Zones{state: state, nodes: catalog.NewRoll(state), head: head, times: times, log: log, rebuilt: make(chan struct{}),
		took: prometheus.NewGauge(prometheus.GaugeOpts{Name: "luna_dns_build_seconds", Help: "Time that the last build of all zones took."})}
	reg.MustRegister(z.took)
	return z
}

// Set returns the zones of now; nil before the state was read.
func (z *Zones) Set() *zone.Set {
	if b := z.now.Load(); b != nil {
		return b.set
	}
	return nil
}

// Site returns where the cluster is; ok is false before `luna cluster init`.
func (z *Zones) Site() (s Site, ok bool) {
	if b := z.now.Load(); b != nil {
		return b.site, len(b.site.Heads) > 0
	}
	return Site{}, false
}

// Rebuilt is closed at the next build.
func (z *Zones) Rebuilt() <-chan struct{} {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.rebuilt
}

// WaitFor waits until the zones are at least of a revision.
func (z *Zones) WaitFor(ctx context.Context, revision uint64) error {
	for {
		rebuilt := z.Rebuilt()
		if s := z.Set(); s != nil && s.Revision >= revision {
			return nil
		}
		select {
		case <-rebuilt:
		case <-ctx.Done():
			return fault.Unavailablef("not done: the zones are older than revision %d", revision)
		}
	}
}

// Run builds the zones at every change until ctx ends.
func (z *Zones) Run(ctx context.Context) error {
	for {
		changed := z.state.Changed()
		if err := z.build(ctx); err != nil {
			z.log.Info("zones are not built yet", "err", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// build makes the zones unless those of the state's revision stand already.
func (z *Zones) build(ctx context.Context) error {
	begun := time.Now()
	var facts zone.Facts
	revision, _ := z.state.Revision(subject.Inventory)
	if s := z.Set(); s != nil && s.Revision == revision {
		return nil
	}
	err := z.nodes.Read(ctx, func(v catalog.View, nodes []*inventoryv1.Node) (err error) {
		facts, err = zone.Read(v, nodes)
		return err
	})
	if err != nil {
		return err
	}
	facts.Head, facts.Revision = z.head, revision
	z.now.Store(&built{set: zone.Build(facts, z.times, z.log), site: siteOf(facts)})
	z.took.Set(time.Since(begun).Seconds())
	z.mu.Lock()
	defer z.mu.Unlock()
	close(z.rebuilt)
	z.rebuilt = make(chan struct{})
	return nil
}

// siteOf gathers the addresses; what cannot be read was logged by the build.
func siteOf(f zone.Facts) (s Site) {
	for _, a := range append([]string{f.Cluster.GetFrontendAddress()}, f.Cluster.GetClusterIps()...) {
		if addr, err := netip.ParseAddr(a); err == nil {
			s.Heads = append(s.Heads, addr)
		}
	}
	for _, n := range f.Networks {
		if p, err := netip.ParsePrefix(n.Cidr); err == nil {
			s.Networks = append(s.Networks, p)
		}
	}
	return s
}

// Ready is nil once zones stand.
func (z *Zones) Ready() error {
	if z.Set() == nil {
		return fault.Unavailablef("zones are not built yet")
	}
	return nil
}

// String returns "zones".
func (z *Zones) String() string { return "zones" }
