package projection

import (
	"context"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
)

// freshWait is how long who asks waits for a state that is behind.
const freshWait = 5 * time.Second

// Fresh returns the handler of a command that reads a state: first the state comes to show what every stream
// holds now. Where that does not come about, it answers from what there is; only that something is not there
// it then cannot say, which becomes Unavailable.
func Fresh[Req, Rep any](s *State, do func(context.Context, bus.Call, Req) (Rep, error)) func(context.Context, bus.Call, Req) (Rep, error) {
	return func(ctx context.Context, call bus.Call, req Req) (Rep, error) {
		limited, cancel := context.WithTimeout(ctx, freshWait)
		old := s.CatchUp(limited)
		cancel()
		rep, err := do(ctx, call, req)
		if old != nil && fault.KindOf(err) == fault.NotFound {
			err = fault.Unavailablef("%w, as far as this head knows: %w", err, old)
		}
		return rep, err
	}
}
