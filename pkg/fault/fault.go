// Package fault gives errors one of five kinds that mean the same on the bus,
// over HTTP and in the exit status of the command line.
package fault

import (
	"errors"
	"fmt"
)

// Kind tells who can mend an error and how.
type Kind int

// The kinds; the zero value is Internal so that an error without a kind is ours.
const (
	// Internal is a fault of the program; its text stays in the log.
	Internal Kind = iota
	// Invalid is input that was wrong in itself.
	Invalid
	// NotFound names something that does not exist.
	NotFound
	// Conflict is right input that does not fit what is there now.
	Conflict
	// Unavailable was not done, or its outcome is unknown: the text says which.
	Unavailable
)

type row struct {
	name string
	code int
	exit int
}

var rows = map[Kind]row{
	Internal:    {"internal", 500, 1},
	Invalid:     {"invalid", 400, 2},
	NotFound:    {"not found", 404, 3},
	Conflict:    {"conflict", 409, 4},
	Unavailable: {"unavailable", 503, 5},
}

// String returns the kind in words.
func (k Kind) String() string { return rows[k].name }

// Code returns the kind's HTTP status, which is its NATS service error code too.
func (k Kind) Code() int { return rows[k].code }

// Exit returns the exit status of a command that ended with the kind.
func (k Kind) Exit() int { return rows[k].exit }

// FromCode returns the kind with an HTTP status or service error code;
// codes of no kind are Internal.
func FromCode(code int) Kind {
	for k, r := range rows {
		if r.code == code {
			return k
		}
	}
	return Internal
}

// Error is an error of a kind with a sentence for the user.
type Error struct {
	Kind Kind
	Text string
	err  error
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.err }

// New returns an error of a kind; the format may hold one %w.
func New(k Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Text: err.Error(), err: errors.Unwrap(err)}
}

// Invalidf returns an Invalid error.
func Invalidf(format string, args ...any) error { return New(Invalid, format, args...) }

// NotFoundf returns a NotFound error.
func NotFoundf(format string, args ...any) error { return New(NotFound, format, args...) }

// Conflictf returns a Conflict error.
func Conflictf(format string, args ...any) error { return New(Conflict, format, args...) }

// Unavailablef returns an Unavailable error.
func Unavailablef(format string, args ...any) error { return New(Unavailable, format, args...) }

// KindOf returns the kind of an error: that of the first *Error in its chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Public returns what a user may read of an error: its text, or for Internal
// a sentence that gives nothing away.
func Public(err error) string {
	if KindOf(err) == Internal {
		return "internal error; the service's log has the details"
	}
	return err.Error()
}
