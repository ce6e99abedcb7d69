package bench_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/integration/bench"
)

// TestEveryWayIsMeasured gets a small payload to eight nodes in every way; it judges no time.
func TestEveryWayIsMeasured(t *testing.T) {
	testenv.Root(t)
	for _, name := range []string{"tc", "aria2c", "nginx", "curl", "udp-sender", "/usr/bin/python3"} {
		testenv.Program(t, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	if err := bench.Swarm(ctx, bench.SwarmOptions{Sizes: []int{8}, Repeats: 1, Share: 0.02, Out: &out, Log: &log}); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Log(out.String())
	for _, way := range []string{"luna", "anacrolix", "libtorrent", "aria2", "nginx", "udpcast"} {
		if !strings.Contains(out.String(), "│ "+way+" ") {
			t.Errorf("%s is not in the table", way)
		}
	}
}
