package integration_test

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/integration/ledger"
)

const (
	clients = 50
	// Errands of the clients, and how often an inventory or the leader of the stream is
	// killed meanwhile; LUNA_SOAK multiplies all of these.
	errandsOnOne, killsOnOne, leadersOnOne       = 400, 24, 3
	errandsOnThree, killsOnThree, leadersOnThree = 300, 16, 4
)

// TestTwoInventoriesKilledAtRandom lets clients change the inventory while two
// inventories and the server that leads the stream are killed again and again,
// and judges the stream that comes of it. LUNA_SEED repeats the choices of a run. Mostly it waits, as the others do that
// run beside it.
func TestTwoInventoriesKilledAtRandom(t *testing.T) {
	t.Parallel()
	seed, many := testenv.Seed(t), testenv.Times(t, 1)
	t.Run("one server", func(t *testing.T) {
		twoInventories(t, siege{servers: 1, errands: errandsOnOne * many, kills: killsOnOne * many, leaders: leadersOnOne * many, seed: seed, limit: time.Duration(many) * 10 * time.Minute})
	})
	t.Run("three servers", func(t *testing.T) {
		twoInventories(t, siege{servers: 3, errands: errandsOnThree * many, kills: killsOnThree * many, leaders: leadersOnThree * many, seed: seed, limit: time.Duration(many) * 15 * time.Minute})
	})
}

// siege is what a cluster must stand.
type siege struct {
	servers, errands, kills, leaders int
	seed                             uint64
	limit                            time.Duration
}

func twoInventories(t *testing.T, s siege) {
	ctx := limit(t, s.limit)
	h := newHeads(t, ctx, s.servers)
	h.describe()
	w := &workload{heads: h, ctx: ctx, seed: s.seed}
	w.plan(s.errands)
	var killing sync.WaitGroup
	calm, end := context.WithCancel(ctx)
	killing.Go(func() { w.killInventories(calm, s.kills) })
	killing.Go(func() { w.killLeaders(calm, s.leaders) })
	w.run()
	end()
	killing.Wait()
	h.waitReady()
	for _, f := range ledger.Check(h.ledger(), w.answers) {
		t.Error(f)
	}
	w.judgeScript()
	w.askHistory()
	if s.servers > 1 { // what the next leader has is the same
		was := h.ledger()
		h.killLeader(0)
		if is := h.ledger(); !reflect.DeepEqual(was, is) {
			t.Errorf("the next leader has %d messages that are not the %d of the last one", len(is), len(was))
		}
	}
	w.report()
}
