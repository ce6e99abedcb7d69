package bench_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/integration/bench"
)

// TestEveryWayIsMeasured gets a small payload to eight nodes in every way, and nothing twice that was kept; it judges no time.
func TestEveryWayIsMeasured(t *testing.T) {
	testenv.Root(t)
	for _, name := range []string{"tc", "aria2c", "nginx", "curl", "udp-sender", "/usr/bin/python3"} {
		testenv.Program(t, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	opt := bench.SwarmOptions{Sizes: []int{8}, Repeats: 1, Mbit: 17.5, Share: 0.02, Bucket: 15, Queue: 64, Kept: filepath.Join(t.TempDir(), "kept"), Out: &out, Log: &log}
	for range 2 {
		out.Reset()
		if err := bench.Swarm(ctx, opt); err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		t.Log(out.String())
		if !strings.Contains(out.String(), "8, 17.5 Mbit/s") {
			t.Error("the table does not have the rate that was asked for")
		}
		for _, way := range []string{"luna", "anacrolix", "libtorrent", "aria2", "nginx", "udpcast"} {
			if !strings.Contains(out.String(), "│ "+way+" ") {
				t.Errorf("%s is not in the table", way)
			}
		}
	}
	if n := strings.Count(log.String(), "8 nodes: last"); n != 6 {
		t.Errorf("%d runs, want 6:\n%s", n, log.String())
	}
}
