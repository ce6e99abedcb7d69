// Package controller says what is wanted of a machine's management controller.
package controller

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/luna-hpc/luna/pkg/fault"
)

// Action is what a controller is asked to do.
type Action string

// The actions, named as they are typed.
const (
	Status     Action = "status"
	On         Action = "on"
	Off        Action = "off"
	Reset      Action = "reset"
	Cycle      Action = "cycle"
	Identify   Action = "identify"
	Noidentify Action = "noidentify"
)

// Actions lists all actions.
var Actions = []Action{Status, On, Off, Reset, Cycle, Identify, Noidentify}

// Switches says whether an action changes what a machine draws from the mains.
func (a Action) Switches() bool {
	return a == On || a == Off || a == Reset || a == Cycle
}

// NeedsOn says whether an action is refused when the machine is off.
func (a Action) NeedsOn() bool { return a == Reset || a == Cycle }

// Done says that an action was done; of Status the answer says more.
func (a Action) Done() string {
	switch a {
	case On:
		return "switched on"
	case Off:
		return "switched off"
	case Cycle:
		return "switched off and on"
	case Identify:
		return "light on"
	case Noidentify:
		return "light off"
	}
	return string(a)
}

// Password is a password that prints as ***.
type Password string

// String returns ***.
func (Password) String() string { return "***" }

// GoString returns ***.
func (Password) GoString() string { return "***" }

// LogValue returns ***.
func (Password) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText returns ***.
func (Password) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Reveal returns the password itself, for the controller alone.
func (p Password) Reveal() string { return string(p) }

// Scrub puts *** in the place of the password, should a controller have sent it back.
func (p Password) Scrub(text string) string {
	if p == "" {
		return text
	}
	return strings.ReplaceAll(text, string(p), "***")
}

// Controller is where and how a machine's controller is spoken to.
type Controller struct {
	Address  netip.Addr
	User     string
	Password Password
	// Protocol is ipmi or redfish.
	Protocol string
	// Setup is the name of the BMC set-up that says so.
	Setup string
}

// Speaker does actions in one protocol. Its errors are faults for the user;
// what they quote of the controller's answer was not scrubbed.
type Speaker interface {
	// Do returns what was found or done. It ends when ctx does.
	Do(ctx context.Context, c Controller, a Action) (text string, err error)
}

// Refused is the error of a controller that does not let the user in.
func (c Controller) Refused() error {
	return fault.Conflictf("not done: the controller refuses user %s with this password: luna bmcsetup change %s --user USER --password PASSWORD", c.User, c.Setup)
}

// IsOff is the error of an action that needs a machine that is on.
func (a Action) IsOff() error {
	return fault.Conflictf("not done: it is off, and %s needs it on: luna power NODE on", a)
}

// Silent is the error of a controller that was not heard of before it was told to act.
func Silent(err error) error {
	return fault.Unavailablef("not done: the controller does not answer%w", cause{err})
}

// Unsure is the error of a controller that was told to act and did not answer.
func Unsure(a Action, err error) error {
	return fault.Unavailablef("outcome unknown: the controller was told %s and did not answer%w", a, cause{err})
}

// cause is an error whose text says no more than what a user needs.
type cause struct{ error }

// Error is empty: addresses and numbers of packets differ from node to node.
func (cause) Error() string { return "" }

// Unwrap returns the error itself.
func (c cause) Unwrap() error { return c.error }
