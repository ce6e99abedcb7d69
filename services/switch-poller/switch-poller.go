// Package switchpoller is the service that learns from switches which MAC is
// on which port.
package switchpoller

import (
	"fmt"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/services/switch-poller/internal/poll"
	"github.com/luna-hpc/luna/services/switch-poller/internal/seen"
)

// Name is the service's name on the bus and of its folder.
const Name = "switch-poller"

// New returns the poller of one head.
func New(cfg Config, d run.Deps) (run.Task, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	dir, err := d.Dir(Name)
	if err != nil {
		return nil, err
	}
	key, err := secret.ReadKey(d.SecretKey)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log,
		catalog.Fold(catalog.Switch, catalog.Node), secret.Fold(), seen.Fold())
	if err != nil {
		return nil, err
	}
	told := prometheus.NewCounter(prometheus.CounterOpts{Name: "luna_switch_poller_events_total", Help: "MACs that the bus was told of."})
	d.Metrics.MustRegister(told)
	book := poll.NewBook()
	return run.NewGroup(Name, state,
		poll.New(cfg.terms(), state, key, book, d.Log, d.Metrics),
		&seen.Presenter{State: state, Conn: d.Bus, Source: book, Keep: cfg.Keep, Head: d.Head, Log: d.Log, Told: told},
		bus.NewService(d.Bus, Name, "MACs on switch ports", commands{state, book}.endpoints()...),
	), nil
}
