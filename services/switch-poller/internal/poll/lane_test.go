package poll

import (
	"context"
	"testing"
)

func TestDoubtfulSwitchesWaitForEachOther(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for workers, want := range map[int][2]int{2: {1, 1}, 3: {2, 1}, 8: {6, 2}, 64: {48, 16}} {
		l := newLanes(workers)
		var leave func()
		for lane, places := range want {
			for i := range places {
				if leave = l.enter(t.Context(), lane == 1); leave == nil {
					t.Fatalf("%d workers: no place %d in lane %d", workers, i, lane)
				}
			}
			if l.enter(over, lane == 1) != nil {
				t.Errorf("%d workers: lane %d has more than %d places", workers, lane, places)
			}
		}
		leave()
		if l.enter(t.Context(), true) == nil {
			t.Errorf("%d workers: a place that was left is not free", workers)
		}
	}
}
