package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/luna-hpc/luna/services/integration/bench"
)

// pack measures packing and unpacking.
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

// twoFolders makes a subject of what bench.Pack starts this program for.
func twoFolders(do func(ctx context.Context, from, to string) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) != 2 {
			return fmt.Errorf("two directories are needed")
		}
		return do(ctx, args[0], args[1])
	}
}
