package run

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/config"
	"github.com/luna-hpc/luna/pkg/subject"
)

// Common is what every service can be told.
type Common struct {
	// Data is the directory that all services of a head keep their folders in.
	Data string `yaml:"data"`
	// Head is this head's name; the host name when empty.
	Head string `yaml:"head"`
	// NATS is the URL of the bus, several with commas.
	NATS string `yaml:"nats"`
	// Key is the file with the nkey seed of the service's NATS user.
	Key string `yaml:"key"`
	// SecretKey is the file with the key of the secrets; only inventory, bootscript,
	// switch-poller and power read it.
	SecretKey string `yaml:"secret_key"`
	// Health is the address of /healthz, /readyz and /metrics.
	Health string `yaml:"health"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `yaml:"log_level"`
}

// Deps is what a service is given to work with.
type Deps struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Bus     *bus.Conn
	// SecretKey is the file with the key of the secrets.
	SecretKey string
	// Data is the head's data directory; a service keeps its own in Data/<service>.
	Data string
	// Head is the head's name, fit to be a token of a subject.
	Head string
}

// Dir makes and returns the folder of a service below the head's data directory.
func (d Deps) Dir(service string) (string, error) {
	dir := filepath.Join(d.Data, service)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make state directory: %w", err)
	}
	return dir, nil
}

// HeadName returns name, or the host name when it is empty, as a subject token.
func HeadName(name string) string {
	if name == "" {
		name, _ = os.Hostname()
	}
	if name, _, _ = strings.Cut(name, "."); name == "" {
		name = "head"
	}
	return subject.Token(name)
}

// Main runs one service as a process: flags, configuration, bus, health, the
// service, until SIGINT or SIGTERM. It returns the exit status.
func Main[C any](name, health string, service C, build func(C, Deps) (Task, error)) int {
	if err := runMain(name, health, service, build); err != nil {
		fmt.Fprintf(os.Stderr, "luna-%s: %v\n", name, err)
		return 1
	}
	return 0
}

type file[C any] struct {
	Common  `yaml:",inline"`
	Service C `yaml:"service"`
}

func runMain[C any](name, health string, service C, build func(C, Deps) (Task, error)) error {
	cfg := file[C]{Service: service, Common: Common{
		Data: "/var/lib/luna", NATS: "nats://127.0.0.1:4222",
		Key: "/etc/luna/keys/" + name + ".nk", SecretKey: "/etc/luna/secret.key", Health: health, LogLevel: "info",
	}}
	if err := parse(name, &cfg, &cfg.Common); err != nil {
		return err
	}
	return serve(name, cfg.Common, func(d Deps) (Task, error) {
		conn, err := bus.Connect(bus.Options{URL: cfg.NATS, User: name, KeyFile: cfg.Key, Log: d.Log})
		if err != nil {
			return nil, err
		}
		d.Bus, d.SecretKey = conn, cfg.SecretKey
		return build(cfg.Service, d)
	})
}

// MainWithoutBus is Main for a process that brings its own bus: Deps.Bus is nil.
func MainWithoutBus[C any](name, health string, service C, build func(C, Deps) (Task, error)) int {
	cfg := file[C]{Service: service, Common: Common{Data: "/var/lib/luna", Health: health, LogLevel: "info"}}
	err := parse(name, &cfg, &cfg.Common)
	if err == nil {
		err = serve(name, cfg.Common, func(d Deps) (Task, error) { return build(cfg.Service, d) })
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "luna-%s: %v\n", name, err)
		return 1
	}
	return 0
}

// serve builds a task and runs it beside its health page until a signal comes.
func serve(name string, c Common, build func(Deps) (Task, error)) error {
	log, err := Logger(c.LogLevel)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	reg := Registry()
	d := Deps{Log: log.With("service", name), Metrics: reg, Data: c.Data, Head: HeadName(c.Head)}
	task, err := build(d)
	if err != nil {
		return err
	}
	return NewGroup(name, task, HTTP("health", c.Health, Health(task, reg), log)).Run(ctx)
}

// parse reads the configuration file, then lets flags win.
func parse(name string, into any, c *Common) error {
	defaultFile := "/etc/luna/" + name + ".yaml"
	var path string
	read := flag.NewFlagSet(name, flag.ContinueOnError)
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	for _, fs := range []*flag.FlagSet{read, set} {
		fs.StringVar(&path, "config", defaultFile, "configuration `file`")
	}
	seen := *c
	bind(read, &seen)
	if err := read.Parse(os.Args[1:]); err != nil {
		return err
	}
	if read.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", read.Arg(0))
	}
	if err := config.Load(path, into); err != nil && (path != defaultFile || !errors.Is(err, os.ErrNotExist)) {
		return err
	}
	bind(set, c)
	return set.Parse(os.Args[1:])
}

func bind(fs *flag.FlagSet, c *Common) {
	fs.StringVar(&c.Data, "data", c.Data, "`directory` of all services' folders")
	fs.StringVar(&c.Head, "head", c.Head, "`name` of this head (default: the host name)")
	fs.StringVar(&c.NATS, "nats", c.NATS, "`URL` of the bus")
	fs.StringVar(&c.Key, "key", c.Key, "nkey seed `file` of the service's user")
	fs.StringVar(&c.SecretKey, "secret-key", c.SecretKey, "`file` with the key of the secrets")
	fs.StringVar(&c.Health, "health", c.Health, "`address` of /healthz, /readyz and /metrics")
	fs.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
}

// Logger returns the logger of a process: text on standard error.
func Logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is not debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}
