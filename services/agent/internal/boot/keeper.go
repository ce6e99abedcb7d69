package boot

import (
	"log/slog"
	"path/filepath"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/services/agent/internal/download"
)

// PayloadDir is where the segments lie in the boot's folder.
func PayloadDir(run string) string { return filepath.Join(run, "payload") }

// NewKeeper returns the keeper of this machine's payload, in memory.
func NewKeeper(run string, log *slog.Logger) *download.Keeper {
	return &download.Keeper{
		Dir: PayloadDir(run),
		Open: func(c swarm.DownloadConfig) (download.Swarm, error) {
			return swarm.NewDownloader(c)
		},
		Place: download.Mount, Clear: download.Unmount, Tick: time.Second, Log: log,
	}
}
