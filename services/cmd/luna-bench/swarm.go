package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/luna-hpc/luna/services/integration/bench"
)

// swarm measures how a payload gets to many nodes.
func swarm(ctx context.Context, args []string) error {
	opt := bench.SwarmOptions{Out: os.Stdout, Log: os.Stderr}
	flags := flag.NewFlagSet("luna-bench swarm", flag.ExitOnError)
	sizes := flags.String("nodes", "1,8,24,72", "`numbers` of nodes with commas, of these")
	flags.IntVar(&opt.Repeats, "repeats", 5, "how `often` each way is measured")
	only := flags.String("only", "", "`ways` to measure of luna,anacrolix,libtorrent,aria2,nginx,udpcast; nothing is all")
	flags.Float64Var(&opt.Mbit, "mbit", 0, "`rate` of each link in Mbit/s; 0 is the usual one of each number of nodes")
	flags.Float64Var(&opt.Share, "share", 1, "which `part` of the usual payload to take, to try it")
	flags.IntVar(&opt.Bucket, "bucket", 15, "what a link that stood idle may make good, in `KiB`")
	flags.IntVar(&opt.Queue, "queue", 64, "what waits in front of a link before something is lost, in `KiB`")
	flags.StringVar(&opt.Kept, "kept", "", "`file` that keeps each run: a comparison that was cut off goes on with it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	opt.Only = words(*only)
	for _, word := range words(*sizes) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("-nodes %q is no number", word)
		}
		opt.Sizes = append(opt.Sizes, n)
	}
	if opt.Repeats < 1 || opt.Share <= 0 || opt.Share > 1 {
		return fmt.Errorf("-repeats is at least 1, -share above 0 and at most 1")
	}
	if opt.Mbit != 0 && !(opt.Mbit >= 0.1 && opt.Mbit <= 10000) { // not a number is neither
		return fmt.Errorf("-mbit is 0.1 to 10000, or 0 for the usual rate")
	}
	if opt.Bucket < 2 {
		return fmt.Errorf("-bucket is at least 2: a packet has to fit")
	}
	if opt.Queue < opt.Bucket {
		return fmt.Errorf("-queue is at least what -bucket is, %d: a link sends that much at once", opt.Bucket)
	}
	return bench.Swarm(ctx, opt)
}
