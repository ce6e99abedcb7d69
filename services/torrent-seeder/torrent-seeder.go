// Package torrentseeder is the service that seeds every kept release from a head.
package torrentseeder

import (
	"fmt"
	"net/netip"
	"path/filepath"

	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/swarm/exchange"
	"github.com/luna-hpc/luna/services/torrent-seeder/internal/kept"
	"github.com/luna-hpc/luna/services/torrent-seeder/internal/seed"
	"github.com/luna-hpc/luna/services/torrent-seeder/internal/web"
)

// Name is the service's name on the bus and of its folder.
const Name = "torrent-seeder"

// Config is what the seeder can be told.
type Config struct {
	// Listen is the address of HTTP and BitTorrent; unset is all.
	Listen netip.Addr `yaml:"listen"`
	// Port of HTTP; 0 is the cluster's server_port.
	Port uint16 `yaml:"port"`
	// PeerPort is the BitTorrent port.
	PeerPort uint16 `yaml:"peer_port"`
	// Payload is the directory of segments; empty is payload below the head's data directory.
	Payload string `yaml:"payload"`
	// Fetch lets segments that another head packed be fetched into it.
	Fetch bool `yaml:"fetch"`
	// Clients is how many segments are sent over HTTP at a time.
	Clients int `yaml:"clients"`
	// Upload is how many bytes of segments are sent a second, over BitTorrent and HTTP together; 0 is no limit.
	Upload int `yaml:"upload"`
}

// leastUpload is the smallest limit that is taken: less would not serve one node.
const leastUpload = 1 << 20

// Default returns the configuration of a head.
func Default() Config { return Config{PeerPort: 7052, Fetch: true, Clients: 64} }

// New returns the service.
func New(cfg Config, d run.Deps) (run.Task, error) {
	if cfg.Clients < 1 {
		return nil, fmt.Errorf("clients is %d, needs to be 1 or more", cfg.Clients)
	}
	if cfg.Upload != 0 && cfg.Upload < leastUpload {
		return nil, fmt.Errorf("upload is %d bytes a second, needs to be %d or more, or 0 for no limit", cfg.Upload, leastUpload)
	}
	var upload *rate.Limiter
	if cfg.Upload > 0 {
		upload = rate.NewLimiter(rate.Limit(cfg.Upload), max(cfg.Upload/8, exchange.MinBurst))
	}
	dir, err := d.Dir(Name)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log, catalog.Fold(catalog.Cluster, catalog.Network), kept.Fold())
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	files, err := kept.OpenFiles(filepath.Join(dir, "files"), kept.Bucket{Conn: d.Bus}, d.Log)
	if err != nil {
		return nil, err
	}
	payload := cfg.Payload
	if payload == "" {
		payload = filepath.Join(d.Data, "payload")
	}
	s := seed.New(seed.Options{State: state, Files: files, Payload: payload,
		Listen: netip.AddrPortFrom(cfg.Listen, cfg.PeerPort), Upload: upload, Head: d.Head, Fetch: cfg.Fetch, Log: d.Log})
	d.Metrics.MustRegister(s)
	commands := bus.NewService(d.Bus, Name, "seeds, tracks and serves every kept release", s.Endpoint())
	// Without the bus nobody can ask, but seeding goes on: that it is away makes the service no less ready.
	return run.NewGroup(Name, state, s, listener(cfg, s, upload, d), run.Func{Name: "commands", Do: commands.Run}), nil
}

// listener serves HTTP on the configured port, or where the cluster wants it.
func listener(cfg Config, s *seed.Seed, upload *rate.Limiter, d run.Deps) *web.Listener {
	port := s.Port
	if cfg.Port != 0 {
		port = func() (uint16, <-chan struct{}) { return cfg.Port, nil }
	}
	segments := func() web.Segments {
		if seeder := s.Seeder(); seeder != nil {
			return seeder
		}
		return nil
	}
	handler := web.New(web.Options{Torrents: s, Segments: segments, Tracker: s.Tracker(), Clients: cfg.Clients, Upload: upload, Metrics: d.Metrics})
	return &web.Listener{Addr: cfg.Listen, Port: port, Handler: handler, Log: d.Log}
}
