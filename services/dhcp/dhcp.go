// Package dhcp gives every node its own address and strangers one of a range,
// with the loader that their firmware can run.
package dhcp

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/coredhcp/coredhcp/handler"
	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	dhcpv1 "github.com/luna-hpc/luna/proto/dhcp/v1"
	"github.com/luna-hpc/luna/services/dhcp/internal/exchange"
	"github.com/luna-hpc/luna/services/dhcp/internal/lease"
	"github.com/luna-hpc/luna/services/dhcp/internal/link"
	"github.com/luna-hpc/luna/services/dhcp/internal/loader"
	"github.com/luna-hpc/luna/services/dhcp/internal/notice"
	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
	"github.com/luna-hpc/luna/services/dhcp/internal/plugin"
)

// Config is what dhcp can be told.
type Config struct {
	// Interfaces to answer on; empty chooses by address.
	Interfaces []string `yaml:"interfaces"`
	// NodeLease and StrangerLease are how long an address may be used without asking again.
	NodeLease     time.Duration `yaml:"node_lease"`
	StrangerLease time.Duration `yaml:"stranger_lease"`
	// DeclineRest is how long an address is put aside that a machine found in use.
	DeclineRest time.Duration `yaml:"decline_rest"`
	// Loaders are loader files by client architecture (option 93), over the defaults; "" is none.
	Loaders map[uint16]string `yaml:"loaders"`
	// Plugins are coredhcp plugins with their arguments, as in "staticroute 10.0.0.0/8,10.30.0.1".
	Plugins []string `yaml:"plugins"`
}

// Default returns the configuration of a head.
func Default() Config {
	return Config{NodeLease: 2 * time.Hour, StrangerLease: 10 * time.Minute, DeclineRest: time.Hour}
}

// offerHold is how long an offered address waits for its request.
const offerHold = time.Minute

// New returns the service.
func New(cfg Config, d run.Deps) (run.Task, error) {
	dir, err := d.Dir("dhcp")
	if err != nil {
		return nil, err
	}
	more, err := plugin.Load(cfg.Plugins)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log,
		catalog.Fold(catalog.Cluster, catalog.Network, catalog.Group, catalog.Node, catalog.Rest), lease.Fold())
	if err != nil {
		return nil, fmt.Errorf("open dhcp state: %w", err)
	}
	box, err := outbox.Open(filepath.Join(dir, "outbox.db"), d.Bus, d.Log, state.WaitFor)
	if err != nil {
		return nil, err
	}
	box.Collect(d.Metrics)
	watch, err := link.NewWatch(d.Log)
	if err != nil {
		return nil, err
	}
	sender, err := notice.New(filepath.Join(d.Data, "bootscript", "ipxe.sock"), d.Log)
	if err != nil {
		return nil, err
	}
	table := lease.NewTable()
	keeper := &plan.Keeper{State: state, Links: watch.Links, Interfaces: cfg.Interfaces, Log: d.Log}
	leases := lease.NewFollower(table, state, box, d.Log, time.Now)
	server := newServer(cfg, d, keeper, leases, more)
	sockets := &link.Sockets{Plan: keeper.Plan, Rebuilt: keeper.Rebuilt, Handler: link.Handler{
		Answer: server.Answer, Keep: keep(table, box), Exchanged: sender.Exchanged, Log: d.Log,
		Busy: func() { server.Metrics.Refused("disk_busy") }}}
	commands := bus.NewService(d.Bus, "dhcp", "gives addresses and loaders to booting machines",
		bus.Handle("lease", "list", projection.Fresh(state, list(table, leases))), box.Endpoint(d.Head))
	return run.NewGroup("dhcp", state, watch, keeper, leases, backwards{sockets, box, sender}, commands), nil
}

func newServer(cfg Config, d run.Deps, keeper *plan.Keeper, leases *lease.Follower, more []handler.Handler4) *exchange.Server {
	files := loader.Default()
	for arch, file := range cfg.Loaders {
		files[arch] = file
	}
	return &exchange.Server{
		Terms: exchange.Terms{NodeLease: cfg.NodeLease, StrangerLease: cfg.StrangerLease, OfferHold: offerHold, DeclineRest: cfg.DeclineRest, Loaders: files},
		Plan:  keeper.Plan, Leases: leases.Table, LeasesRead: leases.Read(), Head: d.Head, Now: time.Now, Log: d.Log, More: more,
		Metrics:  exchange.NewMetrics(d.Metrics, func() int { return len(leases.Table.Live(time.Now())) }),
		Warnings: rate.NewLimiter(1, 20),
	}
}

// keep puts leases into the outbox; one that cannot be written is not granted.
func keep(table *lease.Table, box *outbox.Outbox) func([]lease.Lease) error {
	return func(leases []lease.Lease) error {
		var entries []outbox.Entry
		for _, l := range leases {
			e, err := l.Entry(time.Now())
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		err := box.Put(entries...)
		if err != nil {
			for _, l := range leases {
				table.Forget(l)
			}
		}
		return err
	}
}

// most is how many leases one reply lists.
const most = 5000

func list(table *lease.Table, leases *lease.Follower) func(context.Context, bus.Call, *dhcpv1.LeaseListRequest) (*dhcpv1.LeaseListReply, error) {
	return func(_ context.Context, _ bus.Call, req *dhcpv1.LeaseListRequest) (*dhcpv1.LeaseListReply, error) {
		if err := leases.Ready(); err != nil {
			return nil, err
		}
		limit := int(req.Limit)
		if limit == 0 || limit > most {
			limit = most
		}
		rep := &dhcpv1.LeaseListReply{}
		for _, l := range table.Live(time.Now()) {
			if len(rep.Leases) == limit {
				break
			}
			rep.Leases = append(rep.Leases, l.Proto())
		}
		return rep, nil
	}
}

// backwards runs the sockets and the outbox, and stops them in this order: an
// answer under way still finds the outbox open.
type backwards struct {
	sockets *link.Sockets
	box     *outbox.Outbox
	sender  *notice.Sender
}

func (b backwards) Run(ctx context.Context) error {
	boxCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- b.box.Run(boxCtx) }()
	err := b.sockets.Run(ctx)
	stop()
	if boxErr := <-ended; err == nil && boxErr != nil {
		err = boxErr
	}
	if closeErr := b.sender.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (b backwards) Ready() error { return b.sockets.Ready() }

func (b backwards) Warnings() []string { return b.box.Warnings() }

func (b backwards) String() string {
	return strings.Join([]string{b.sockets.String(), b.box.String()}, " and ")
}
