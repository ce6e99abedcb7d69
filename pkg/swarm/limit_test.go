package swarm_test

import (
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// A head whose limit is used up sends nothing more over BitTorrent; nodes get on over HTTP, which has no
// limit here.
func TestHeadKeepsToItsLimit(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 11, 20, 20)
	const burst = exchange.MinBurst + 5*pieceLength
	h := newHeadWith(t, dir, func(c *swarm.SeederConfig) { c.Limit = rate.NewLimiter(1, burst) }, p)
	h.offers(t, p, p.size)
	n := h.boot(t, "127.0.0.2", p, useStall(time.Second))
	n.complete(t)
	if sent := h.seeder.Torrents()[0].Sent; sent == 0 || sent > burst {
		t.Errorf("the head has sent %d bytes, its limit lets %d through", sent, burst)
	}
}
