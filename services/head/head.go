// Package head runs all services of Luna and a NATS server in one process.
package head

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/services/bootscript"
	"github.com/luna-hpc/luna/services/dhcp"
	"github.com/luna-hpc/luna/services/dns"
	imagepacker "github.com/luna-hpc/luna/services/image-packer"
	"github.com/luna-hpc/luna/services/inventory"
	"github.com/luna-hpc/luna/services/power"
	switchpoller "github.com/luna-hpc/luna/services/switch-poller"
	torrentseeder "github.com/luna-hpc/luna/services/torrent-seeder"
)

// Config holds what each service can be told.
type Config struct {
	// Listen is the address of the bus.
	Listen        string               `yaml:"listen"`
	Inventory     inventory.Config     `yaml:"inventory"`
	ImagePacker   imagepacker.Config   `yaml:"image_packer"`
	TorrentSeeder torrentseeder.Config `yaml:"torrent_seeder"`
	DHCP          dhcp.Config          `yaml:"dhcp"`
	DNS           dns.Config           `yaml:"dns"`
	Bootscript    bootscript.Config    `yaml:"bootscript"`
	SwitchPoller  switchpoller.Config  `yaml:"switch_poller"`
	Power         power.Config         `yaml:"power"`
}

// Default returns the configuration of a head without a file.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:4222", Inventory: inventory.Default(), ImagePacker: imagepacker.Default(),
		TorrentSeeder: torrentseeder.Default(), DHCP: dhcp.Default(), DNS: dns.Default(),
		Bootscript: bootscript.Default(), SwitchPoller: switchpoller.Default(), Power: power.Default(),
	}
}

// part is one service of the head.
type part struct {
	name  string
	build func(run.Deps) (run.Task, error)
}

func parts(c Config) []part {
	return []part{
		of(inventory.Name, c.Inventory, inventory.New),
		of("image-packer", c.ImagePacker, imagepacker.New),
		of("torrent-seeder", c.TorrentSeeder, torrentseeder.New),
		of("dhcp", c.DHCP, dhcp.New),
		of("dns", c.DNS, dns.New),
		of("bootscript", c.Bootscript, bootscript.New),
		of(switchpoller.Name, c.SwitchPoller, switchpoller.New),
		of(power.Name, c.Power, power.New),
	}
}

func of[C any](name string, c C, build func(C, run.Deps) (run.Task, error)) part {
	return part{name, func(d run.Deps) (run.Task, error) { return build(c, d) }}
}

// New starts the bus and returns the head. What the bus keeps lies in
// Data/nats, its users' keys in Data/keys, the key of the secrets is Data/secret.key.
func New(c Config, d run.Deps) (run.Task, error) {
	keys := filepath.Join(d.Data, "keys")
	public, err := broker.Keys(keys)
	if err != nil {
		return nil, err
	}
	d.SecretKey = filepath.Join(d.Data, "secret.key")
	if _, err := secret.MakeKey(d.SecretKey); err != nil {
		return nil, err
	}
	srv, err := broker.Start(broker.Options{Listen: c.Listen, Store: filepath.Join(d.Data, "nats"), Public: public, Log: d.Log})
	if err != nil {
		return nil, err
	}
	tasks, err := services(c, d, srv, keys)
	if err != nil {
		srv.Shutdown()
		return nil, err
	}
	return &head{bus: srv, services: run.NewGroup("services", tasks...)}, nil
}

func services(c Config, d run.Deps, srv nats.InProcessConnProvider, keys string) ([]run.Task, error) {
	connect := func(user string) (*bus.Conn, error) {
		return bus.Connect(bus.Options{InProcess: srv, User: user, KeyFile: broker.KeyFile(keys, user), Log: d.Log.With("service", user)})
	}
	setup, err := connect("setup")
	if err != nil {
		return nil, err
	}
	tasks := []run.Task{run.Func{Name: "setup", Do: func(ctx context.Context) error {
		defer setup.Close()
		if err := bus.SetupWhenUp(ctx, setup, 1); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}}}
	for _, p := range parts(c) {
		conn, err := connect(p.name)
		if err != nil {
			return nil, err
		}
		deps := run.Deps{
			Log: d.Log.With("service", p.name), Bus: conn, SecretKey: d.SecretKey, Data: d.Data, Head: d.Head,
			Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"service": p.name}, d.Metrics),
		}
		task, err := p.build(deps)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		tasks = append(tasks, closing{task, conn})
	}
	return tasks, nil
}

// closing is a task that closes its connection when it ended.
type closing struct {
	run.Task
	conn *bus.Conn
}

func (c closing) Run(ctx context.Context) error {
	defer c.conn.Close()
	return c.Task.Run(ctx)
}

// Ages passes the ages of the service's states on.
func (c closing) Ages() []run.Age {
	if a, ok := c.Task.(run.Ager); ok {
		return a.Ages()
	}
	return nil
}

// Warnings passes those of the service on.
func (c closing) Warnings() []string {
	if w, ok := c.Task.(run.Warner); ok {
		return w.Warnings()
	}
	return nil
}

// head stops the services before the bus, so that they can say what is left to say.
type head struct {
	bus      *broker.Broker
	services *run.Group
}

// Run runs the services and then stops the bus.
func (h *head) Run(ctx context.Context) error {
	busCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- h.bus.Run(busCtx) }()
	err := h.services.Run(ctx)
	stop()
	if busErr := <-done; err == nil {
		err = busErr
	}
	return err
}

// Ready says which service is missing.
func (h *head) Ready() error {
	if err := h.bus.Ready(); err != nil {
		return err
	}
	return h.services.Ready()
}

// Ages returns the ages of all states.
func (h *head) Ages() []run.Age { return h.services.Ages() }

// Warnings returns those of all services.
func (h *head) Warnings() []string { return h.services.Warnings() }

// String returns "head".
func (h *head) String() string { return "head" }
