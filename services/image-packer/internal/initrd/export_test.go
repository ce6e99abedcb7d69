package initrd

import "time"

// BuiltAt returns the report of a build at another time.
func (r *Report) BuiltAt(when time.Time) *Report {
	other := *r
	other.started = when
	return &other
}
