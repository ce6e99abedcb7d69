package change

import (
	"github.com/luna-hpc/luna/pkg/fault"
)

// doubt is about a batch that was sent and not answered: it may still be stored
// as long as the stream has not moved on from the sequence that it expects.
type doubt struct {
	open     bool
	expected uint64
}

// rise notes that a batch with this expected sequence got no answer.
func (o *doubt) rise(expected uint64) { *o = doubt{open: true, expected: expected} }

// settle ends the doubt about a change without a record in a state of this
// revision, if that is past what its batch expected.
func (o *doubt) settle(revision uint64) {
	if revision > o.expected {
		o.open = false
	}
}

// end ends the doubt: the change is known to be stored.
func (o *doubt) end() { o.open = false }

// tell makes of any error one that does not claim to know more than is known.
func (o *doubt) tell(id string, err error) error {
	if err == nil || !o.open {
		return err
	}
	return fault.Unavailablef("outcome unknown, the bus fell silent (is its disk full?); see `luna history %s`", id)
}
