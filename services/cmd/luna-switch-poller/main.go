// Command luna-switch-poller runs the switch-poller service.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	switchpoller "github.com/luna-hpc/luna/services/switch-poller"
)

func main() {
	os.Exit(run.Main(switchpoller.Name, "127.0.0.1:7047", switchpoller.Default(), switchpoller.New))
}
