package exchange

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Hosts that dial each other at the same time agree on one connection, and leave it at that.
func TestHostsThatMetDialNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := swarmed{nodes: 8, mbit: 1, length: BlockSize, pieces: 10}
		c := newCloud(float64(s.mbit)*1e6/8, unsentBytes(int64(s.length)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		all, _ := c.startAll(ctx, t, &running, s)
		for i, list := range acquainted(s.nodes, 1).first {
			all[1+i].AddPeers("", list)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		before := c.dialled.Load()
		time.Sleep(10 * time.Minute)
		if n := c.dialled.Load() - before; n != 0 {
			t.Errorf("%d connections are dialled in ten minutes in which nothing happens, %d before", n, before)
		}
		for i, tor := range all {
			if n := tor.Peers(); n != s.nodes {
				t.Errorf("host %d is connected to %d others, of %d", i, n, s.nodes)
			}
		}
		// One that is gone is dialled until it is back.
		all[1].Drop()
		time.Sleep(time.Minute)
		if c.dialled.Load() == before {
			t.Error("nobody dials who is gone")
		}
		cancel()
		running.Wait()
		c.running.Wait()
	})
}
