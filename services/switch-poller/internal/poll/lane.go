package poll

import "context"

// lanes bound how many switches are asked at once. Those that did not answer last time wait for each other in a lane of their
// own, a quarter of the whole: however many are dead, they do not keep the others waiting.
type lanes struct{ steady, doubtful chan struct{} }

func newLanes(workers int) lanes {
	doubtful := max(workers/4, 1)
	return lanes{make(chan struct{}, max(workers-doubtful, 1)), make(chan struct{}, doubtful)}
}

// enter waits for a place and returns how to leave it; nil when ctx ended first.
func (l lanes) enter(ctx context.Context, doubt bool) (leave func()) {
	lane := l.steady
	if doubt {
		lane = l.doubtful
	}
	select {
	case lane <- struct{}{}:
		return func() { <-lane }
	case <-ctx.Done():
		return nil
	}
}
