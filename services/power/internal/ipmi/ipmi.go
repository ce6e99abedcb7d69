// Package ipmi speaks IPMI 2.0 over the network (RMCP+) with controllers.
package ipmi

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/power/internal/controller"
)

const (
	// wait is how long one packet is waited for, retries how often it is sent again.
	wait    = 2 * time.Second
	retries = 3
	// farewell is how long the end of a session may take.
	farewell = 2 * time.Second
	// longest is how many seconds a light is on that cannot be on for ever (28.5).
	longest = 255
)

// Speaker does actions over IPMI.
type Speaker struct {
	// Port is 623 but for controllers behind a forwarded port.
	Port int
}

// Do opens a session, does the action and closes the session.
func (s Speaker) Do(ctx context.Context, c controller.Controller, a controller.Action) (string, error) {
	cl, err := s.login(ctx, c)
	if err != nil {
		return "", err
	}
	defer leave(ctx, cl)
	if a == controller.Status || a.NeedsOn() {
		on, err := isOn(ctx, cl)
		switch {
		case err != nil:
			return "", err
		case a == controller.Status && on:
			return "on", nil
		case a == controller.Status:
			return "off", nil
		case !on:
			return "", a.IsOff()
		}
	}
	return act(ctx, cl, a)
}

func isOn(ctx context.Context, cl *client.Client) (bool, error) {
	status, err := cl.GetChassisStatus(ctx)
	if err != nil {
		return false, refusal(controller.Status, err, controller.Silent(err))
	}
	return status.PowerIsOn, nil
}

var controls = map[controller.Action]chassis.ChassisControl{
	controller.On:    chassis.ChassisControlPowerUp,
	controller.Off:   chassis.ChassisControlPowerDown,
	controller.Cycle: chassis.ChassisControlPowerCycle,
	controller.Reset: chassis.ChassisControlHardReset,
}

func act(ctx context.Context, cl *client.Client, a controller.Action) (string, error) {
	var err error
	switch a {
	case controller.Identify:
		return identify(ctx, cl)
	case controller.Noidentify:
		_, err = cl.ChassisIdentify(ctx, 0, false)
	default:
		control, ok := controls[a]
		if !ok {
			return "", fault.Invalidf("IPMI has no action %q", a)
		}
		_, err = cl.ChassisControl(ctx, control)
	}
	if err != nil {
		return "", refusal(a, err, controller.Unsure(a, err))
	}
	return a.Done(), nil
}

// identify turns the light on for ever, or for as long as the controller can.
func identify(ctx context.Context, cl *client.Client) (string, error) {
	_, err := cl.ChassisIdentify(ctx, 0, true)
	if err == nil {
		return controller.Identify.Done(), nil
	}
	if _, refused := types.IsResponseError(err); refused {
		if _, err = cl.ChassisIdentify(ctx, longest, false); err == nil {
			return fmt.Sprintf("light on for %d s", longest), nil
		}
	}
	return "", refusal(controller.Identify, err, controller.Unsure(controller.Identify, err))
}

// refusal is the error of an action that the controller answered with a
// completion code, or silent when it did not answer.
func refusal(a controller.Action, err, silent error) error {
	r, answered := types.IsResponseError(err)
	if !answered {
		return silent
	}
	code := r.CompletionCode()
	return fault.Conflictf("not done: the controller refuses %s: %s (0x%02x)", a, code.Error(), uint8(code))
}

// leave closes session and socket; a session that cannot be closed ends by itself.
func leave(ctx context.Context, cl *client.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = cl.Close(ctx)
}

// abandon closes the socket of a session that was never there.
func abandon(ctx context.Context, cl *client.Client) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_ = cl.Close(ctx)
}

// refusedPort says whether the machine is there and nobody listens.
func refusedPort(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
