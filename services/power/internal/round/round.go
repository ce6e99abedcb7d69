// Package round asks many controllers at once, none waiting for a dead one.
package round

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/power/internal/controller"
	"github.com/luna-hpc/luna/services/power/internal/roster"
)

// Round is how controllers are asked.
type Round struct {
	// Speakers by protocol.
	Speakers map[string]controller.Speaker
	// Limit is how many controllers are asked at once.
	Limit int
	// Stagger lies between two that begin to switch a machine.
	Stagger time.Duration
	// Timeout is how long one controller may take.
	Timeout time.Duration
	Log     *slog.Logger
}

// Run does an action at all controllers and calls tell with each result as it
// comes, from one goroutine at a time. When ctx ends it asks no more.
func (r Round) Run(ctx context.Context, a controller.Action, entries []roster.Entry, tell func(*jobv1.Result)) {
	room := room(entries)
	var one sync.Mutex
	told := func(e roster.Entry, text string, err error) {
		res := r.result(a, e, text, err, room)
		one.Lock()
		defer one.Unlock()
		tell(res)
	}
	var asked []roster.Entry
	for _, e := range entries {
		if e.Err != nil {
			told(e, "", e.Err)
			continue
		}
		asked = append(asked, e)
	}
	var working sync.WaitGroup
	slots := make(chan struct{}, r.Limit)
	for i, e := range asked {
		if err := r.turn(ctx, a, i == 0, slots); err != nil {
			told(e, "", err)
			continue
		}
		working.Go(func() {
			text, err := r.ask(ctx, a, e.Controller)
			<-slots // first, so that who is told finds the slot free
			told(e, text, err)
		})
	}
	working.Wait()
}

// turn waits until the next controller may be asked.
func (r Round) turn(ctx context.Context, a controller.Action, first bool, slots chan<- struct{}) error {
	stopping := fault.Unavailablef("not done: the service was stopped")
	if ctx.Err() != nil {
		return stopping
	}
	if a.Switches() && !first && r.Stagger > 0 {
		select {
		case <-time.After(r.Stagger):
		case <-ctx.Done():
			return stopping
		}
	}
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return stopping
	}
}

// ask asks one controller; what it sends may make a library panic.
func (r Round) ask(ctx context.Context, a controller.Action, c controller.Controller) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while %s was asked: %v", c.Protocol, p)
		}
	}()
	s, ok := r.Speakers[c.Protocol]
	if !ok {
		return "", fault.Conflictf("not done: BMC set-up %s has the unknown protocol %q: luna bmcsetup change %s --protocol ipmi", c.Setup, c.Protocol, c.Setup)
	}
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	return s.Do(ctx, c, a)
}
