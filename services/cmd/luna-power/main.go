// Command luna-power runs the power service.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/power"
)

func main() { os.Exit(run.Main(power.Name, "127.0.0.1:7048", power.Default(), power.New)) }
