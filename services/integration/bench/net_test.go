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

// TestEveryServerIsMeasured runs the comparison with a few nodes, briefly; it judges no rate.
func TestEveryServerIsMeasured(t *testing.T) {
	testenv.Root(t)
	for _, name := range []string{"kea-dhcp4", "perfdhcp", "named", "dnsperf", "nginx", "wrk"} {
		testenv.Program(t, name)
	}
	bin := built(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var out, log bytes.Buffer
	err := bench.Net(ctx, bench.NetOptions{Nodes: 6, Repeats: 1, Trial: time.Second, Bin: bin, Deploy: filepath.Join(bin, "..", "deploy"), Out: &out, Log: &log})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Log(out.String())
	for _, server := range []string{"luna-dhcp", "kea-dhcp4", "luna-dns", "named", "luna-bootscript", "nginx"} {
		if !strings.Contains(out.String(), "│ "+server+" ") {
			t.Errorf("%s is not in the table", server)
		}
	}
}
