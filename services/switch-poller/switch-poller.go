// Package switchpoller is the service that learns from switches which MAC is
// on which port.
package switchpoller

import (
	"context"
	"path/filepath"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/seen"
)

// Name is the service's name on the bus and of its folder.
const Name = "switch-poller"

// listLimit keeps a reply below the bus's largest message.
const listLimit = 20000

// Config is empty until there are switches to ask.
type Config struct{}

// Default returns the configuration of a service without a file.
func Default() Config { return Config{} }

// New returns the service: it lists what was seen; asking switches comes with them.
func New(_ Config, d run.Deps) (run.Task, error) {
	dir, err := d.Dir(Name)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log,
		catalog.Fold(catalog.Network, catalog.Node), seen.Fold())
	if err != nil {
		return nil, err
	}
	list := func(_ context.Context, _ bus.Call, r *switchpollerv1.ListMacsRequest) (*switchpollerv1.ListMacsReply, error) {
		limit := listLimit
		if r.Limit > 0 {
			limit = min(limit, int(r.Limit))
		}
		rep := &switchpollerv1.ListMacsReply{}
		err := state.View(func(tx *projection.Tx) (err error) {
			rep.Macs, err = seen.List(tx, time.Now(), limit)
			return err
		})
		return rep, err
	}
	commands := bus.NewService(d.Bus, Name, "MACs on switch ports", bus.Handle("mac", "list", list))
	return run.NewGroup(Name, state, commands), nil
}
