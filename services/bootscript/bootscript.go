// Package bootscript leads nodes from their firmware to the installed system:
// loaders over TFTP, and scripts, kernels and reports over HTTP.
package bootscript

import (
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
	"github.com/luna-hpc/luna/services/bootscript/internal/command"
	"github.com/luna-hpc/luna/services/bootscript/internal/hardware"
	"github.com/luna-hpc/luna/services/bootscript/internal/learned"
	"github.com/luna-hpc/luna/services/bootscript/internal/loader"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
	"github.com/luna-hpc/luna/services/bootscript/internal/shelf"
	"github.com/luna-hpc/luna/services/bootscript/internal/token"
	"github.com/luna-hpc/luna/services/bootscript/internal/unknown"
	"github.com/luna-hpc/luna/services/bootscript/internal/web"
)

// Config is what the boot service can be told.
type Config struct {
	// Address to listen on for HTTP, without a port, which is the cluster's
	// frontend_port; all addresses when empty.
	Address string `yaml:"address"`
	// TFTP is the IPv4 address and port to serve loaders on.
	TFTP string `yaml:"tftp"`
	// Loaders are directories of boot loaders; the first that has a file wins.
	Loaders []string `yaml:"loaders"`
}

// Default returns the configuration of a head.
func Default() Config {
	return Config{TFTP: ":69", Loaders: []string{"/usr/share/luna/loaders", "/usr/lib/ipxe"}}
}

// New returns the boot service of one head.
func New(cfg Config, d run.Deps) (run.Task, error) {
	dir, err := d.Dir("bootscript")
	if err != nil {
		return nil, err
	}
	secrets, err := secret.ReadKey(d.SecretKey)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log,
		catalog.Fold(catalog.Cluster, catalog.Network, catalog.Osimage, catalog.Bmcsetup, catalog.Switch, catalog.Group, catalog.Node),
		shelf.Fold(), boot.Fold(), hardware.Fold(), unknown.Fold().And(learned.Fold()), secret.Fold())
	if err != nil {
		return nil, err
	}
	out, err := outbox.Open(filepath.Join(dir, "outbox.db"), d.Bus, d.Log, state.WaitFor)
	if err != nil {
		return nil, err
	}
	out.Collect(d.Metrics)
	book, err := boot.Open(state, out, d.Head, time.Now)
	if err != nil {
		return nil, err
	}
	machinery, err := hardware.Open(state, out, time.Now)
	if err != nil {
		return nil, err
	}
	waiting := prometheus.NewGauge(prometheus.GaugeOpts{Name: "luna_bootscript_files_waiting", Help: "Released files that are not on this head yet."})
	d.Metrics.MustRegister(waiting)
	files, err := shelf.Open(filepath.Join(dir, "files"), state, shelf.Bucket{Conn: d.Bus}, d.Log, func(n int) { waiting.Set(float64(n)) })
	if err != nil {
		return nil, err
	}
	exchanges := token.NewExchanges(time.Now)
	machines := unknown.NewList(out, d.Head, time.Now)
	loaders := loader.Dirs(cfg.Loaders)
	planner := web.Planner{Shelf: files, Known: &catalog.Known{}, Head: d.Head}
	handler := &web.Handler{
		Planner: planner, State: state, Book: book, Hardware: machinery, Unknown: machines, Exchanges: exchanges, Keys: token.NewKeys(secrets), Secrets: secrets, Loaders: loaders,
		Binder: web.Inventory{Conn: d.Bus, State: state}, Metrics: web.NewMetrics(d.Metrics), Log: d.Log, Now: time.Now,
	}
	commands := command.Commands{State: state, Book: book, Hardware: machinery, Unknown: machines, Planner: planner, Now: time.Now}
	return run.NewGroup("bootscript",
		state, out, book, machinery, files,
		token.Listener{Path: filepath.Join(dir, "ipxe.sock"), Exchanges: exchanges, Log: d.Log},
		loader.NewTFTP(cfg.TFTP, loaders, d.Log, d.Metrics),
		&web.Server{Host: cfg.Address, Port: portOf(state), Handler: handler.Routes(), Log: d.Log},
		bus.NewService(d.Bus, "bootscript", "boots nodes and keeps what they did", append(commands.Endpoints(), out.Endpoint(d.Head))...),
	), nil
}

// portOf returns a function that reads the cluster's frontend_port.
func portOf(state *projection.State) func() (uint16, <-chan struct{}) {
	return func() (uint16, <-chan struct{}) {
		changed := state.Changed()
		port := uint16(plan.DefaultPort)
		// Until the state was read the default holds.
		_ = catalog.Read(state, func(v catalog.View) error {
			c, err := v.Cluster()
			if err == nil {
				port = plan.Port(c)
			}
			return err
		})
		return port, changed
	}
}
