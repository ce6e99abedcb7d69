// Command luna-bench measures Luna on this machine: `luna-bench inventory`, `luna-bench pack`. It needs root, for
// namespaces and mounts.
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case len(args) > 0 && args[0] == "inventory":
		return inventory(ctx, args[1:])
	case len(args) > 0 && args[0] == "pack":
		return pack(ctx, args[1:])
	case len(args) == 3 && args[0] == "pack-tree":
		return bench.PackTree(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "unpack-tree":
		return bench.UnpackTree(ctx, args[1], args[2])
	}
	return fmt.Errorf("say what to measure: inventory or pack; -h after it tells more")
}

// pack reads what to pack, and how often.
func pack(ctx context.Context, args []string) (err error) {
	opt := bench.PackOptions{Out: os.Stdout, Log: os.Stderr}
	flags := flag.NewFlagSet("luna-bench pack", flag.ExitOnError)
	size := flags.Int64("size", 1100, "size of the packed tree in `MB`")
	flags.StringVar(&opt.From, "from", "/usr", "`directory` whose files the tree is made of")
	flags.StringVar(&opt.Dir, "dir", "", "`directory` for the tree and what is made of it (default: that of temporary files)")
	flags.IntVar(&opt.Repeats, "repeats", 5, "how `often` each program packs and unpacks")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *size < 1 || opt.Repeats < 1 {
		return fmt.Errorf("-size and -repeats are 1 or more")
	}
	opt.Size = *size * 1e6
	if opt.Self, err = os.Executable(); err != nil {
		return err
	}
	return bench.Pack(ctx, opt)
}

// inventory reads how many nodes to measure with, and how.
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
	return bench.Inventory(ctx, opt)
}
