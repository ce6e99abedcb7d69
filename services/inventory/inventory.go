// Package inventory is the service that owns what administrators describe:
// the cluster, networks, osimages, groups and nodes.
package inventory

import (
	"context"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/bmcsetup"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/cluster"
	"github.com/luna-hpc/luna/services/inventory/internal/effect"
	"github.com/luna-hpc/luna/services/inventory/internal/group"
	"github.com/luna-hpc/luna/services/inventory/internal/netswitch"
	"github.com/luna-hpc/luna/services/inventory/internal/network"
	"github.com/luna-hpc/luna/services/inventory/internal/node"
	"github.com/luna-hpc/luna/services/inventory/internal/osimage"
	"github.com/luna-hpc/luna/services/inventory/internal/otherdev"
	"github.com/luna-hpc/luna/services/inventory/internal/read"
	"github.com/luna-hpc/luna/services/inventory/internal/transfer"
	"github.com/luna-hpc/luna/services/inventory/internal/undo"
	"github.com/luna-hpc/luna/services/inventory/internal/upkeep"
)

// Name is the service's name on the bus and of its folder.
const Name = "inventory"

// Config is empty: the inventory needs nothing but the bus.
type Config struct{}

// Default returns the configuration of a service without a file.
func Default() Config { return Config{} }

// New returns the service.
func New(_ Config, d run.Deps) (run.Task, error) {
	dir, err := d.Dir(Name)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log, change.Fold())
	if err != nil {
		return nil, err
	}
	key, err := secret.ReadKey(d.SecretKey)
	if err != nil {
		return nil, err
	}
	decider := change.NewDecider(d.Bus, state, key, time.Now)
	endpoints := append(changing(decider), reading(read.New(state, decider))...)
	endpoints = append(endpoints, transfer.NewDesk(d.Bus, state, decider, key).Endpoints()...)
	commands := bus.NewService(d.Bus, Name, "cluster, networks, osimages, switches, other devices, BMC set-ups, groups and nodes", endpoints...)
	tidy := upkeep.New(d.Bus, state, d.Log, time.Now)
	return run.NewGroup(Name, state, commands, tidy), nil
}

// decide makes an endpoint of a pure decision.
func decide[Req proto.Message](d *change.Decider, noun catalog.Noun, verb string, do func(*change.Draft, Req) error) bus.Endpoint {
	return bus.Handle(string(noun), verb, func(ctx context.Context, call bus.Call, req Req) (*inventoryv1.ChangeReply, error) {
		this := func(draft *change.Draft) error { return do(draft, req) }
		if call.DryRun {
			return d.Try(ctx, call, this, effect.Reply)
		}
		return d.Do(ctx, call, req, this)
	}).Dry()
}

// undoing is the command that takes a change back.
func undoing(d *change.Decider) bus.Endpoint {
	return bus.Handle("history", "undo", func(ctx context.Context, call bus.Call, req *inventoryv1.UndoRequest) (*inventoryv1.ChangeReply, error) {
		done, err := d.Find(ctx, req.Revision, req.CommandId)
		if err != nil {
			return nil, err
		}
		past, err := d.Past(ctx, done)
		if err != nil {
			return nil, err
		}
		before := func(noun catalog.Noun, id string) proto.Message { return past[subject.Object(string(noun), id)] }
		this := func(draft *change.Draft) error { return undo.Decide(draft, done, before) }
		if call.DryRun {
			return d.Try(ctx, call, this, effect.Reply)
		}
		return d.Do(ctx, call, req, this)
	}).Dry()
}

// alone is a check that needs nothing but the object.
func alone[T any](check func(T) error) func(*change.Draft, T) error {
	return func(_ *change.Draft, m T) error { return check(m) }
}

func changing(d *change.Decider) []bus.Endpoint {
	return []bus.Endpoint{
		undoing(d),
		decide(d, catalog.Cluster, "init", cluster.Init),
		decide(d, catalog.Cluster, "change", cluster.Change),
		decide(d, catalog.Cluster, "makedhcp", cluster.Makedhcp),
		decide(d, catalog.Cluster, "delete", cluster.Delete),
		decide(d, catalog.Network, "add", network.Add),
		decide(d, catalog.Network, "change", network.Change),
		decide(d, catalog.Network, "rename", change.Rename(catalog.Network, network.Check)),
		decide(d, catalog.Network, "delete", network.Delete),
		decide(d, catalog.Osimage, "add", osimage.Add),
		decide(d, catalog.Osimage, "change", osimage.Change),
		decide(d, catalog.Osimage, "rename", change.Rename(catalog.Osimage, osimage.Check)),
		decide(d, catalog.Osimage, "delete", osimage.Delete),
		decide(d, catalog.Bmcsetup, "add", bmcsetup.Add),
		decide(d, catalog.Bmcsetup, "change", bmcsetup.Change),
		decide(d, catalog.Bmcsetup, "rename", change.Rename(catalog.Bmcsetup, alone(bmcsetup.Check))),
		decide(d, catalog.Bmcsetup, "delete", bmcsetup.Delete),
		decide(d, catalog.Switch, "add", netswitch.Add),
		decide(d, catalog.Switch, "change", netswitch.Change),
		decide(d, catalog.Switch, "rename", change.Rename(catalog.Switch, alone(netswitch.Check))),
		decide(d, catalog.Switch, "delete", netswitch.Delete),
		decide(d, catalog.Otherdev, "add", otherdev.Add),
		decide(d, catalog.Otherdev, "change", otherdev.Change),
		decide(d, catalog.Otherdev, "rename", change.Rename(catalog.Otherdev, alone(otherdev.Check))),
		decide(d, catalog.Otherdev, "delete", otherdev.Delete),
		decide(d, catalog.Group, "add", group.Add),
		decide(d, catalog.Group, "change", group.Change),
		decide(d, catalog.Group, "rename", change.Rename(catalog.Group, alone(group.Check))),
		decide(d, catalog.Group, "clone", group.Clone),
		decide(d, catalog.Group, "delete", group.Delete),
		decide(d, catalog.Node, "add", node.Add),
		decide(d, catalog.Node, "change", node.Change),
		decide(d, catalog.Node, "rename", change.Rename(catalog.Node, node.Check)),
		decide(d, catalog.Node, "delete", node.Delete),
	}
}

func reading(r *read.Reader) []bus.Endpoint {
	all := []bus.Endpoint{bus.Handle("history", "list", r.History), bus.Handle("history", "diff", r.Diff), bus.Handle(string(catalog.Node), "explain", r.Explain)}
	for _, noun := range []catalog.Noun{catalog.Cluster, catalog.Network, catalog.Osimage, catalog.Bmcsetup, catalog.Switch, catalog.Otherdev, catalog.Group, catalog.Node} {
		all = append(all, bus.Handle(string(noun), "show", r.Show(noun)))
		if noun != catalog.Cluster {
			all = append(all, bus.Handle(string(noun), "list", r.List(noun)))
		}
	}
	return all
}
