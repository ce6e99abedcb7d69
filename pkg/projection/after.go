package projection

import (
	"context"
	"time"
)

// AfterChanges calls do now, and again after changes of the state, one look for
// all that come within a pause. It returns nil when ctx ends, and what do
// returns when that is an error.
func (s *State) AfterChanges(ctx context.Context, pause time.Duration, do func() error) error {
	for ctx.Err() == nil {
		changed := s.Changed()
		if err := do(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}
