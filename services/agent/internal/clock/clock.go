// Package clock sets a clock that is far off to the head's time.
package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Tolerance is how far the clock may be off before it is set.
const Tolerance = time.Minute

// Clock is what can be read and set.
type Clock struct {
	Now func() time.Time
	// Uptime is the time since the kernel started.
	Uptime func() time.Duration
	Set    func(time.Time) error
}

// System is the machine's own clock.
func System() Clock { return Clock{Now: time.Now, Uptime: uptime, Set: set} }

// Correct sets the clock when it is off by more than Tolerance, and returns
// by how much it was set forward; zero is left alone. Head is the head's time
// when it made the kernel's command line, shortly before the kernel started.
func (c Clock) Correct(head time.Time) (time.Duration, error) {
	if head.IsZero() {
		return 0, nil
	}
	want := head.Add(c.Uptime())
	off := want.Sub(c.Now()).Round(time.Second)
	if off.Abs() <= Tolerance {
		return 0, nil
	}
	if err := c.Set(want); err != nil {
		return 0, fmt.Errorf("set the clock to %s: %w", want.UTC().Format(time.RFC3339), err)
	}
	return off, nil
}

func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func set(t time.Time) error {
	tv := unix.NsecToTimeval(t.UnixNano())
	return unix.Settimeofday(&tv)
}
