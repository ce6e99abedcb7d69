// Command luna-bench measures Luna on this machine: `luna-bench inventory`. It needs root, for namespaces.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/luna-hpc/luna/services/integration/bench"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "luna-bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	opt := bench.Options{Out: os.Stdout, Log: os.Stderr}
	flags := flag.NewFlagSet("luna-bench inventory", flag.ExitOnError)
	sizes := flags.String("nodes", "100,1000,10000", "`numbers` of nodes with commas")
	flags.IntVar(&opt.Groups, "groups", 20, "how many `groups` the nodes are in")
	flags.IntVar(&opt.Versions, "versions", 64, "how many `versions` the bus has of each object")
	flags.IntVar(&opt.Changes, "changes", 200, "how many `changes` of each kind are made")
	flags.IntVar(&opt.Repeats, "repeats", 5, "how `often` all else is done")
	flags.StringVar(&opt.Bin, "bin", "bin", "`directory` of Luna's programs")
	flags.StringVar(&opt.Deploy, "deploy", "deploy", "`directory` of the configuration that comes with them")
	if len(args) == 0 || args[0] != "inventory" {
		flags.Usage()
		return fmt.Errorf("say what to measure: inventory")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	for _, word := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 2 || n > 20000 {
			return fmt.Errorf("-nodes %q: a number is from 2 to 20000", word)
		}
		opt.Sizes = append(opt.Sizes, n)
	}
	for _, dir := range []*string{&opt.Bin, &opt.Deploy} {
		full, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		*dir = full
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return bench.Inventory(ctx, opt)
}
