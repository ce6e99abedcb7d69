// Command luna-head runs a whole head in one process: all services and the bus.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/head"
)

func main() { os.Exit(run.MainWithoutBus("head", "127.0.0.1:7040", head.Default(), head.New)) }
