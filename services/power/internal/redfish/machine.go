package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/power/internal/controller"
)

// poll is how often a machine is asked whether it is off by now.
const poll = 500 * time.Millisecond

// machine is the one system that a controller is of.
type machine struct {
	api    *gofish.APIClient
	system *schemas.ComputerSystem
	// told is set once the controller may have been told to act.
	told bool
}

// machineOf finds a controller's system.
func machineOf(api *gofish.APIClient) (*machine, error) {
	all, err := api.Service.Systems()
	switch {
	case err != nil:
		return nil, inner(err)
	case len(all) != 1:
		return nil, fault.Conflictf("not done: the controller is of %d systems and not of one", len(all))
	}
	return &machine{api: api, system: all[0]}, nil
}

// inner takes an error out of gofish's list of the errors of a collection.
func inner(err error) error {
	var list *schemas.CollectionError
	if errors.As(err, &list) {
		for _, e := range list.Failures {
			return e
		}
	}
	return err
}

func (m *machine) do(ctx context.Context, a controller.Action) (string, error) {
	state := m.system.PowerState
	switch {
	case a == controller.Status:
		return stateText(state)
	case a == controller.Identify || a == controller.Noidentify:
		return a.Done(), m.light(a == controller.Identify)
	case a.NeedsOn() && state == schemas.OffPowerState:
		return "", a.IsOff()
	case a == controller.On && state == schemas.OnPowerState, a == controller.Off && state == schemas.OffPowerState:
		return a.Done(), nil // some refuse what is so already
	}
	return a.Done(), m.turn(ctx, a)
}

func stateText(s schemas.PowerState) (string, error) {
	switch s {
	case schemas.OnPowerState:
		return "on", nil
	case schemas.OffPowerState:
		return "off", nil
	case schemas.PoweringOnPowerState:
		return "switching on", nil
	case schemas.PoweringOffPowerState:
		return "switching off", nil
	case schemas.PausedPowerState:
		return "paused", nil
	}
	return "", fault.Unavailablef("the controller does not say whether it is on")
}

// resets are the kinds of reset that do an action, the best first.
var resets = map[controller.Action][]schemas.ResetType{
	controller.On:    {schemas.OnResetType, schemas.ForceOnResetType},
	controller.Off:   {schemas.ForceOffResetType},
	controller.Reset: {schemas.ForceRestartResetType},
	controller.Cycle: {schemas.PowerCycleResetType},
}

// turn sends the first kind of reset that the system allows. Without
// PowerCycle a cycle is off, waiting until it is off, and on.
func (m *machine) turn(ctx context.Context, a controller.Action) error {
	allowed, err := m.system.GetSupportedResetTypes()
	if err != nil {
		return err
	}
	for _, r := range resets[a] {
		if len(allowed) == 0 || slices.Contains(allowed, r) {
			return m.reset(r)
		}
	}
	if a != controller.Cycle {
		return fault.Conflictf("not done: the controller allows none of %v for %s", resets[a], a)
	}
	if err := m.turn(ctx, controller.Off); err != nil {
		return err
	}
	if err := m.untilOff(ctx); err != nil {
		return err
	}
	return m.turn(ctx, controller.On)
}

// untilOff waits until a machine that was switched off is so.
func (m *machine) untilOff(ctx context.Context) error {
	for {
		s, err := schemas.GetComputerSystem(m.api, m.system.ODataID)
		if err != nil || s.PowerState == schemas.OffPowerState {
			return err
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return fault.Unavailablef("outcome unknown: it was switched off, is not off yet and was not switched on again")
		}
	}
}

// reset posts to the action's own target: gofish 0.21.0 posts resets to that of
// another action.
func (m *machine) reset(r schemas.ResetType) error {
	var raw struct {
		Actions struct {
			Reset schemas.ActionTarget `json:"#ComputerSystem.Reset"`
		}
	}
	if err := json.Unmarshal(m.system.RawData, &raw); err != nil {
		return err
	}
	target := raw.Actions.Reset.Target
	if !strings.HasPrefix(target, "/") {
		return fault.Conflictf("not done: the controller has no action ComputerSystem.Reset")
	}
	m.told = true
	resp, err := m.api.Post(target, map[string]any{"ResetType": r})
	schemas.DeferredCleanupHTTPResponse(resp)
	return err
}

// light turns the light that shows where the machine is on or off.
func (m *machine) light(on bool) error {
	var has map[string]json.RawMessage
	if err := json.Unmarshal(m.system.RawData, &has); err != nil {
		return err
	}
	var change map[string]any
	switch {
	case has["LocationIndicatorActive"] != nil:
		change = map[string]any{"LocationIndicatorActive": on}
	case has["IndicatorLED"] != nil && on:
		change = map[string]any{"IndicatorLED": schemas.BlinkingIndicatorLED}
	case has["IndicatorLED"] != nil:
		change = map[string]any{"IndicatorLED": schemas.OffIndicatorLED}
	default:
		return fault.Conflictf("not done: the controller has no light for this machine")
	}
	m.told = true
	resp, err := m.api.PatchWithHeaders(m.system.ODataID, change, m.system.Headers())
	schemas.DeferredCleanupHTTPResponse(resp)
	return err
}

// sent turns an error into a fault that knows whether the controller was told to act.
func (m *machine) sent(c controller.Controller, a controller.Action, err error) error {
	var f *fault.Error
	var reply *schemas.Error
	switch {
	case !m.told || errors.As(err, &f):
		return answer(c, err)
	case errors.As(err, &reply):
		return fault.Conflictf("not done: the controller refuses %s: %s", a, words(reply))
	}
	return controller.Unsure(a, err)
}
