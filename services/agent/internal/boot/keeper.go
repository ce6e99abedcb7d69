package boot

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/services/agent/internal/download"
)

// PayloadDir is where the segments lie in the boot's folder.
func PayloadDir(run string) string { return filepath.Join(run, "payload") }

// NewKeeper returns the keeper of the payload of a machine in a network, in memory.
func NewKeeper(run string, network netip.Prefix, log *slog.Logger) *download.Keeper {
	return &download.Keeper{
		Dir: PayloadDir(run),
		Open: func(c swarm.DownloadConfig) (download.Swarm, error) {
			c.Near = network
			return swarm.NewDownloader(c)
		},
		Place: download.Mount, Clear: download.Unmount, Tick: time.Second, Log: log,
	}
}
