package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/integration/bench"
)

// TestMain also plays the part of a peer, and packs and unpacks as luna-bench does, for the comparisons.
func TestMain(m *testing.M) {
	bench.Peer()
	if len(os.Args) == 4 {
		if do := map[string]func(context.Context, string, string) error{"pack-tree": bench.PackTree, "unpack-tree": bench.UnpackTree}[os.Args[1]]; do != nil {
			if err := do(context.Background(), os.Args[2], os.Args[3]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// TestEveryFigureIsMeasured runs the benchmark with a few nodes; it judges no time.
func TestEveryFigureIsMeasured(t *testing.T) {
	testenv.Root(t)
	for _, name := range []string{"dig", "curl", "dhclient"} {
		testenv.Program(t, name)
	}
	bin := built(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	err := bench.Inventory(ctx, bench.Options{Sizes: []int{3, 6}, Groups: 2, Versions: 3, Changes: 2, Repeats: 1,
		Bin: bin, Deploy: filepath.Join(bin, "..", "deploy"), Out: &out, Log: &log})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Log(out.String())
	for _, figure := range []string{"list all nodes, page by page", "its address shows: DNS", "its address shows: DHCP", "its address shows: HTTP",
		"its kernel option shows: HTTP", "its MAC shows: DHCP", "its MAC shows: HTTP", "start with no state: inventory", "start with no state: power",
		"list all nodes: the program luna", "add 1000 nodes in one command", "delete 1000 nodes in one command"} {
		line, ok := "", false
		for l := range strings.Lines(out.String()) {
			if strings.Contains(l, figure) {
				line, ok = l, strings.Count(l, " / ") == 2
			}
		}
		if !ok {
			t.Errorf("%q is not measured with both numbers of nodes: %s", figure, line)
		}
	}
}

// built is the directory of Luna's programs.
func built(t *testing.T) string {
	t.Helper()
	bin, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "luna-inventory")); err != nil {
		testenv.Lacks(t, "run make build: ", err)
	}
	return bin
}
