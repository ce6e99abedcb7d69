// Package power is the service that switches machines through their controllers.
package power

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/services/power/internal/command"
	"github.com/luna-hpc/luna/services/power/internal/controller"
	"github.com/luna-hpc/luna/services/power/internal/ipmi"
	"github.com/luna-hpc/luna/services/power/internal/redfish"
	"github.com/luna-hpc/luna/services/power/internal/round"
)

// Name is the service's name on the bus and of its folder.
const Name = "power"

// Config says how controllers are asked.
type Config struct {
	// Limit is how many controllers a command asks at once.
	Limit int `yaml:"limit"`
	// Stagger lies between two machines that are switched on, off or restarted.
	Stagger time.Duration `yaml:"stagger"`
	// Timeout is how long one controller may take.
	Timeout time.Duration `yaml:"timeout"`
	// IPMIPort and RedfishPort are those of all controllers.
	IPMIPort    int `yaml:"ipmi_port"`
	RedfishPort int `yaml:"redfish_port"`
	// RedfishHTTP lets controllers without TLS be asked over HTTP, at RedfishHTTPPort:
	// the password is then readable on the network.
	RedfishHTTP     bool `yaml:"redfish_http"`
	RedfishHTTPPort int  `yaml:"redfish_http_port"`
}

// Default returns the configuration of a service without a file.
func Default() Config {
	return Config{Limit: 64, Stagger: 20 * time.Millisecond, Timeout: 15 * time.Second, IPMIPort: 623, RedfishPort: 443, RedfishHTTPPort: 80}
}

func (c Config) check() error {
	switch {
	case c.Limit < 1 || c.Limit > command.MostAtOnce:
		return fmt.Errorf("limit must be 1 to %d controllers at once, not %d", command.MostAtOnce, c.Limit)
	case c.Stagger < 0 || c.Stagger > command.MostStagger:
		return fmt.Errorf("stagger must be 0 to %s, not %s", command.MostStagger, c.Stagger)
	case c.Timeout < time.Second || c.Timeout > 10*time.Minute:
		return fmt.Errorf("timeout must be 1s to 10m, not %s", c.Timeout)
	}
	for _, port := range []int{c.IPMIPort, c.RedfishPort, c.RedfishHTTPPort} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("a port must be 1 to 65535, not %d", port)
		}
	}
	return nil
}

// New returns the service.
func New(cfg Config, d run.Deps) (run.Task, error) {
	if err := cfg.check(); err != nil {
		return nil, err
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
		catalog.Fold(catalog.Group, catalog.Node, catalog.Bmcsetup), secret.Fold())
	if err != nil {
		return nil, err
	}
	out, err := outbox.Open(filepath.Join(dir, "outbox.db"), d.Bus, d.Log, nil)
	if err != nil {
		return nil, err
	}
	jobs := command.New(d, state, out, key, round.Round{
		Limit: cfg.Limit, Stagger: cfg.Stagger, Timeout: cfg.Timeout, Log: d.Log,
		Speakers: map[string]controller.Speaker{
			"ipmi":    ipmi.Speaker{Port: cfg.IPMIPort},
			"redfish": redfish.Speaker{Port: cfg.RedfishPort, Plain: cfg.RedfishHTTP, PlainPort: cfg.RedfishHTTPPort},
		},
	})
	return run.NewGroup(Name, state, outlasting{out, jobs.Ended()}, jobs,
		bus.NewService(d.Bus, Name, "power of nodes", jobs.Endpoints()...)), nil
}

// outlasting is an outbox that runs until the jobs have told how they ended.
type outlasting struct {
	*outbox.Outbox
	ended <-chan struct{}
}

// Run runs the outbox.
func (o outlasting) Run(ctx context.Context) error {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { <-o.ended; cancel() })
	defer stop()
	return o.Outbox.Run(longer)
}
