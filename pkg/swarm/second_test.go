package swarm_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// second starts the seeder of a second head, which announces to the first.
func second(t testing.TB, dir string, h *head, p payload) *swarm.Seeder {
	t.Helper()
	s, err := swarm.NewSeeder(swarm.SeederConfig{Dir: dir, Listen: netip.MustParseAddrPort("127.0.0.9:0"),
		Recheck: 50 * time.Millisecond, Log: quietLog()})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Set(map[swarm.InfoHash]swarm.Wanted{p.hash: {Torrent: p.torrent, Fetch: true, Trackers: []string{h.url + "/announce"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("second seeder: %v", err)
		}
	})
	return s
}
