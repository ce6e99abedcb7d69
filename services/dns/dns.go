// Package dns answers for the names and addresses of the cluster.
package dns

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dns/internal/answer"
	"github.com/luna-hpc/luna/services/dns/internal/current"
	"github.com/luna-hpc/luna/services/dns/internal/listen"
	"github.com/luna-hpc/luna/services/dns/internal/zone"
)

// Config is what dns can be told.
type Config struct {
	// Addresses to listen on; empty is this host's addresses in the cluster's networks.
	Addresses []netip.Addr `yaml:"addresses"`
	// Port of UDP and TCP.
	Port uint16 `yaml:"port"`
	// TTL of answers, and of denials.
	TTL         time.Duration `yaml:"ttl"`
	NegativeTTL time.Duration `yaml:"negative_ttl"`
}

// Default returns the configuration of a head.
func Default() Config { return Config{Port: 53, TTL: time.Minute, NegativeTTL: 10 * time.Second} }

// New returns the service.
func New(cfg Config, d run.Deps) (run.Task, error) {
	dir, err := d.Dir("dns")
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log, catalog.Fold(catalog.Cluster, catalog.Network, catalog.Group, catalog.Node, catalog.Switch, catalog.Otherdev))
	if err != nil {
		return nil, fmt.Errorf("open dns state: %w", err)
	}
	times := zone.Times{TTL: uint32(cfg.TTL.Seconds()), Negative: uint32(cfg.NegativeTTL.Seconds())}
	zones := current.New(state, d.Head, times, d.Log, d.Metrics)
	sockets := &listen.Sockets{
		Want: want(cfg, zones), Changed: zones.Rebuilt, Port: cfg.Port,
		Handler: answer.New(zones.Set, d.Metrics), Log: d.Log,
	}
	commands := bus.NewService(d.Bus, "dns", "answers for the names and addresses of the cluster",
		bus.Handle("zone", "list", listZones(d.Bus, state, zones)))
	return run.NewGroup("dns", state, zones, sockets, commands), nil
}

// want chooses where to listen: nowhere before there is a cluster.
func want(cfg Config, zones *current.Zones) func() ([]netip.Addr, bool, error) {
	return func() ([]netip.Addr, bool, error) {
		site, ok := zones.Site()
		if !ok || len(cfg.Addresses) > 0 {
			if !ok {
				return nil, false, nil
			}
			return cfg.Addresses, true, nil
		}
		local, err := listen.Local()
		if err != nil {
			return nil, true, err
		}
		return listen.Choose(site, local), true, nil
	}
}

// listZones answers with the origins once the zones are as new as the
// inventory; when the bus cannot tell how new that is, as new as the state.
func listZones(conn *bus.Conn, state *projection.State, zones *current.Zones) func(context.Context, bus.Call, *inventoryv1.ClusterMakednsRequest) (*inventoryv1.ClusterMakednsReply, error) {
	return func(ctx context.Context, _ bus.Call, _ *inventoryv1.ClusterMakednsRequest) (*inventoryv1.ClusterMakednsReply, error) {
		if err := state.Usable(); err != nil {
			return nil, err
		}
		revision, _ := state.Revision(subject.Inventory)
		if st, err := conn.JS.Stream(ctx, subject.Inventory); err == nil {
			revision = st.CachedInfo().State.LastSeq
		}
		if err := zones.WaitFor(ctx, revision); err != nil {
			return nil, err
		}
		set := zones.Set()
		return &inventoryv1.ClusterMakednsReply{Zones: set.Origins(), Revision: set.Revision}, nil
	}
}
