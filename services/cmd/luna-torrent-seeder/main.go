// Command luna-torrent-seeder seeds every kept release from a head.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	torrentseeder "github.com/luna-hpc/luna/services/torrent-seeder"
)

func main() {
	os.Exit(run.Main(torrentseeder.Name, "127.0.0.1:7043", torrentseeder.Default(), torrentseeder.New))
}
