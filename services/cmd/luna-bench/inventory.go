package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/luna-hpc/luna/services/integration/bench"
)

// inventory measures what administrators wait for.
func inventory(ctx context.Context, args []string) error {
	opt := bench.Options{Out: os.Stdout, Log: os.Stderr}
	flags := flag.NewFlagSet("luna-bench inventory", flag.ExitOnError)
	sizes := flags.String("nodes", "100,1000,10000", "`numbers` of nodes with commas")
	flags.IntVar(&opt.Groups, "groups", 20, "how many `groups` the nodes are in")
	flags.IntVar(&opt.Versions, "versions", 64, "how many `versions` the bus has of each object")
	flags.IntVar(&opt.Changes, "changes", 200, "how many `changes` of each kind are made")
	flags.IntVar(&opt.Repeats, "repeats", 5, "how `often` all else is done")
	flags.StringVar(&opt.Bin, "bin", "bin", "`directory` of Luna's programs")
	flags.StringVar(&opt.Deploy, "deploy", "deploy", "`directory` of the configuration that comes with them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, word := range words(*sizes) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 2 || n > 20000 {
			return fmt.Errorf("-nodes %q: a number is from 2 to 20000", word)
		}
		opt.Sizes = append(opt.Sizes, n)
	}
	if err := absolute(&opt.Bin, &opt.Deploy); err != nil {
		return err
	}
	return bench.Inventory(ctx, opt)
}
