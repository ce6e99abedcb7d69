package payload

import (
	"fmt"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

const (
	// every is the time between progress lines.
	every = 5 * time.Second
	// quiet is how long nothing may arrive before that is said.
	quiet = 15 * time.Second
	// silent is how long nothing may arrive before that is reported.
	silent = 30 * time.Second
)

// watch tells from looks at a download what is worth saying of it.
type watch struct {
	completed int64
	unpacked  int64
	arrived   time.Time // when something last arrived, or was unpacked where that must come first
	said      time.Time // when the last line was said
	saidBytes int64
	reported  bool
}

// word is what to say after a look.
type word struct {
	// Rate in bytes a second since the last line; Progress asks to say it.
	Rate     float64
	Progress bool
	// Stalled asks to say that nothing arrives, Report to report it too.
	Stalled, Report bool
	// Back asks to say that it arrives again after a Report.
	Back bool
	// For is how long nothing has arrived.
	For time.Duration
}

func newWatch(now time.Time) watch { return watch{arrived: now, said: now} }

// see takes a look at now.
func (w *watch) see(now time.Time, s swarm.Stats) word {
	var say word
	if s.Completed > w.completed {
		w.completed, w.arrived = s.Completed, now
		say.Back, w.reported = w.reported, false
	}
	say.For = now.Sub(w.arrived)
	whole := s.Completed >= s.Total
	if now.Sub(w.said) >= every && say.For < quiet && !whole {
		say.Progress = true
		say.Rate = float64(s.Completed-w.saidBytes) / now.Sub(w.said).Seconds()
		w.said, w.saidBytes = now, s.Completed
	}
	if whole || say.For < quiet || now.Sub(w.said) < quiet {
		return say
	}
	say.Stalled = true
	w.said, w.saidBytes = now, s.Completed
	if say.For >= silent && !w.reported {
		say.Report, w.reported = true, true
	}
	return say
}

// used takes in how much is unpacked, where that makes room for what arrives.
func (w *watch) used(now time.Time, unpacked int64) {
	if unpacked > w.unpacked {
		w.unpacked, w.arrived = unpacked, now
	}
}

// percent writes a part of a whole.
func percent(part, whole int64) string {
	if whole <= 0 {
		return "0 %"
	}
	return fmt.Sprintf("%d %%", 100*part/whole)
}
