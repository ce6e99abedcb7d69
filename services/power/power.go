// Package power is the service that switches machines through their controllers.
package power

import (
	"path/filepath"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
)

// Name is the service's name on the bus and of its folder.
const Name = "power"

// Config is empty until there are controllers to speak to.
type Config struct{}

// Default returns the configuration of a service without a file.
func Default() Config { return Config{} }

// New returns the service: it follows the inventory and has its place on the
// bus; it takes no commands yet.
func New(_ Config, d run.Deps) (run.Task, error) {
	dir, err := d.Dir(Name)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log,
		catalog.Fold(catalog.Cluster, catalog.Network, catalog.Group, catalog.Node))
	if err != nil {
		return nil, err
	}
	return run.NewGroup(Name, state, bus.NewService(d.Bus, Name, "power of nodes")), nil
}
