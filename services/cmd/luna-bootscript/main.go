// Command luna-bootscript is the boot service of a head.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/bootscript"
)

func main() { os.Exit(run.Main("bootscript", "127.0.0.1:7046", bootscript.Default(), bootscript.New)) }
