// Command luna-dhcp gives addresses and loaders to booting machines.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/dhcp"
)

func main() { os.Exit(run.Main("dhcp", "127.0.0.1:7044", dhcp.Default(), dhcp.New)) }
