// Command luna-demo boots a room of virtual machines with Luna. It needs root.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/luna-hpc/luna/services/integration/demo"
)

func main() {
	nodes := flag.Int("nodes", 2, "how `many` machines boot")
	limit := flag.Duration("limit", 20*time.Minute, "how `long` all may take")
	flag.Parse()
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "luna-demo:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo.Run(ctx, demo.Options{Nodes: *nodes, Bin: filepath.Dir(self), Limit: *limit, Out: os.Stdout}); err != nil {
		fmt.Fprintln(os.Stderr, "luna-demo:", err)
		os.Exit(1)
	}
}
