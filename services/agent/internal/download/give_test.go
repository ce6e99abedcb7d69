package download

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// How long a node passes its payload on before the system starts.
func TestGive(t *testing.T) {
	lacking := func(n int, sent ...int64) (all []swarm.Stats) {
		for _, s := range sent {
			all = append(all, swarm.Stats{Completed: 100, Lacking: n, Sent: s})
		}
		return all
	}
	slowly := make([]int64, 1000)
	for i := range slowly {
		slowly[i] = int64(i / 12) // one byte a second
	}
	for name, c := range map[string]struct {
		stats  []swarm.Stats
		want   time.Duration
		window int64
	}{
		"nobody lacks anything":  {lacking(0, 0), 0, 0},
		"it has given enough":    {lacking(3, 100), 0, 0},
		"it is not whole itself": {[]swarm.Stats{{Completed: 50, Lacking: 3}}, 0, 0},
		"nobody takes anything":  {lacking(3, 10), 5 * time.Second, 0},
		"others take it":         {append(lacking(3, 10, 40, 70), lacking(3, 100)...), 300 * time.Millisecond, 0},
		"others become whole":    {append(lacking(3, 10, 40), lacking(0, 50)...), 200 * time.Millisecond, 0},
		"others take it slowly":  {lacking(3, slowly...), GiveMost, 0},
		"what was dropped":       {lacking(3, 10), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := keeper(t)
				d.Tick = 100 * time.Millisecond
				e := &exchange{stats: c.stats, fail: make(chan error)}
				s := &session{swarm: e, asked: Request{Window: c.window}, ended: make(chan struct{}), cancel: func() {}}
				d.session = s
				begin := time.Now()
				d.Give(t.Context())
				if took := time.Since(begin); took != c.want {
					t.Errorf("it gave for %s, want %s", took, c.want)
				}
				close(s.ended)
			})
		})
	}
}

func TestGiveEndsWithItsContext(t *testing.T) {
	d := keeper(t)
	d.Give(t.Context()) // there is nothing to give
	d.Tick = time.Hour
	s := &session{swarm: &exchange{stats: []swarm.Stats{{Completed: 100, Lacking: 1}}}, ended: make(chan struct{}), cancel: func() {}}
	d.session = s
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.Give(ctx)
	close(s.ended)
}
