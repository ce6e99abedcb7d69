package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/luna-hpc/luna/services/integration/bench"
)

// network measures what nodes ask.
func network(ctx context.Context, args []string) error {
	opt := bench.NetOptions{Out: os.Stdout, Log: os.Stderr}
	flags := flag.NewFlagSet("luna-bench net", flag.ExitOnError)
	flags.IntVar(&opt.Nodes, "nodes", 1000, "`number` of nodes")
	flags.IntVar(&opt.Repeats, "repeats", 5, "how `often` each server is measured")
	flags.DurationVar(&opt.Trial, "trial", 5*time.Second, "how `long` a measuring program runs, in whole seconds")
	only := flags.String("only", "", "`what` to measure of DHCP,DNS,HTTP; nothing is all")
	flags.StringVar(&opt.Bin, "bin", "bin", "`directory` of Luna's programs")
	flags.StringVar(&opt.Deploy, "deploy", "deploy", "`directory` of the configuration that comes with them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	opt.Only = words(*only)
	if opt.Nodes < 4 || opt.Nodes > 20000 || opt.Repeats < 1 || opt.Trial < time.Second {
		return fmt.Errorf("-nodes is from 4 to 20000, -repeats at least 1, -trial at least 1s")
	}
	if err := absolute(&opt.Bin, &opt.Deploy); err != nil {
		return err
	}
	return bench.Net(ctx, opt)
}
