// Command luna-inventory runs the inventory service.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/inventory"
)

func main() {
	os.Exit(run.Main(inventory.Name, "127.0.0.1:7041", inventory.Default(), inventory.New))
}
