package download

import (
	"context"
	"time"
)

const (
	// GiveMost is how long a node that has everything passes it on, at most.
	GiveMost = time.Minute
	// giveQuiet is how long nobody may take anything.
	giveQuiet = 5 * time.Second
)

// Give passes the payload on until this node has given as much as it has taken, no node that is connected
// lacks any of it, nobody takes anything for five seconds, or a minute is over; what was dropped nobody asks for. Without it the last nodes of
// a swarm would be left to the head when those that were quicker start their systems.
func (k *Keeper) Give(ctx context.Context) {
	k.mu.Lock()
	s := k.session
	k.mu.Unlock()
	if s == nil || s.asked.Window > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, GiveMost)
	defer cancel()
	tick := time.NewTicker(k.Tick)
	defer tick.Stop()
	var sent int64
	took := time.Now()
	for first := true; ; first = false {
		now := s.swarm.Stats()
		if now.Sent > sent {
			sent, took = now.Sent, time.Now()
		}
		if now.Completed < now.Total || now.Lacking == 0 || now.Sent >= now.Total || time.Since(took) >= giveQuiet {
			return
		}
		if first {
			k.Log.Info("the image is passed on before the system starts", "nodes", now.Lacking)
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}
