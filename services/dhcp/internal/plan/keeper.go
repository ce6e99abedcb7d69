package plan

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
)

// Keeper is a task that keeps the plan that matches the state and the links.
type Keeper struct {
	State *projection.State
	// Links returns this host's interfaces and a channel that closes when they change.
	Links      func() ([]Link, <-chan struct{})
	Interfaces []string
	Log        *slog.Logger

	nodes   *catalog.Roll
	now     atomic.Pointer[Plan]
	mu      sync.Mutex
	rebuilt chan struct{}
}

// Plan returns the plan of now; nil before the state was read.
func (k *Keeper) Plan() *Plan { return k.now.Load() }

// Rebuilt is closed at the next build.
func (k *Keeper) Rebuilt() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rebuilt == nil {
		k.rebuilt = make(chan struct{})
	}
	return k.rebuilt
}

// Run builds a plan at every change until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	var had <-chan struct{}
	k.nodes = catalog.NewRoll(k.State)
	for {
		changed := k.State.Changed()
		links, moved := k.Links()
		if err := k.build(ctx, links, moved != had); err != nil {
			k.Log.Info("nothing is answered yet", "err", err)
		}
		had = moved
		select {
		case <-changed:
		case <-moved:
		case <-ctx.Done():
			return nil
		}
	}
}

// build makes a plan unless the links are the same and the inventory too.
func (k *Keeper) build(ctx context.Context, links []Link, moved bool) error {
	revision, _ := k.State.Revision(subject.Inventory)
	if p := k.Plan(); p != nil && p.Revision == revision && !moved {
		return nil
	}
	f := Facts{Revision: revision, Links: links, Interfaces: k.Interfaces}
	if err := k.nodes.Read(ctx, f.Read); err != nil {
		return err
	}
	k.now.Store(Build(f, k.Log))
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rebuilt != nil {
		close(k.rebuilt)
		k.rebuilt = nil
	}
	return nil
}

// Ready is nil once a plan stands that strangers can be served from.
func (k *Keeper) Ready() error {
	p := k.Plan()
	if p == nil {
		return fault.Unavailablef("the inventory was not read yet")
	}
	if p.Trouble != "" {
		return errors.New(p.Trouble)
	}
	return nil
}

// String returns "plan".
func (k *Keeper) String() string { return "plan" }
