package projection_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
)

// TestFreshAnswers asks a state that is behind for what it does not have yet.
func TestFreshAnswers(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	goes, stands := make(chan struct{}), make(chan struct{})
	fold := copyFold(1)
	apply, once := fold.Apply, sync.Once{}
	fold.Apply = func(tx *projection.Tx, ev projection.Event) error {
		once.Do(func() { close(stands); <-goes })
		return apply(tx, ev)
	}
	s := start(t, c, filepath.Join(t.TempDir(), "state.db"), fold)
	seq := rounds(t, c, 0, 1)
	<-stands
	read := projection.Fresh(s.State, func(context.Context, bus.Call, int) (string, error) {
		if at, _ := s.Revision(fold.Stream); at < seq {
			return "", fault.NotFoundf("there is no revision %d", seq)
		}
		return "there", nil
	})
	hasty, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := read(hasty, bus.Call{}, 0); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("while it is behind it says %q, %v", got, err)
	}
	time.AfterFunc(100*time.Millisecond, func() { close(goes) })
	if got, err := read(t.Context(), bus.Call{}, 0); err != nil || got != "there" {
		t.Errorf("it says %q, %v", got, err)
	}
}
