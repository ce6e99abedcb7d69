// Command luna-bench measures Luna on this machine: `luna-bench inventory`, `net`, `pack` or `swarm`. It needs root, for
// namespaces and mounts.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/luna-hpc/luna/services/integration/bench"
)

// subjects are what can be measured.
var subjects = map[string]func(ctx context.Context, args []string) error{
	"inventory": inventory, "net": network, "pack": pack, "swarm": swarm,
	"pack-tree": twoFolders(bench.PackTree), "unpack-tree": twoFolders(bench.UnpackTree), // for pack, which measures them as processes
}

func main() {
	bench.Peer()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "luna-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || subjects[args[0]] == nil {
		return fmt.Errorf("say what to measure: inventory, net, pack or swarm; -h after it lists its options")
	}
	return subjects[args[0]](ctx, args[1:])
}

// absolute makes folders ones that other directories can name.
func absolute(dirs ...*string) error {
	for _, dir := range dirs {
		full, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		*dir = full
	}
	return nil
}

// words are the words of a list with commas; none of "".
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
