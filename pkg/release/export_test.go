package release

import "time"

// At returns the options for a pack at another time than now.
func (o Options) At(when time.Time) Options {
	o.now = func() time.Time { return when }
	return o
}
