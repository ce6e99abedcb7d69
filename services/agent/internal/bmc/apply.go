package bmc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Tool runs ipmitool and returns what it says.
type Tool func(ctx context.Context, args ...string) (string, error)

// patience is how long a controller may take to answer after its reset.
const patience = 3 * time.Minute

// Setup is one setting up of a controller.
type Setup struct {
	Config
	Secret
	Tool Tool
	// Pause is the time between looks whether the controller answers again.
	Pause time.Duration

	done Done
}

// Done is what was done to a controller.
type Done struct {
	// Changed are the commands that wrote something, without the password.
	Changed []string
	// Unknown are the commands that the controller does not know and can do without.
	Unknown []string
}

// Apply reads how the controller is and writes what differs. When the address
// changed it resets the controller and waits until it answers again.
func (s *Setup) Apply(ctx context.Context) (Done, error) {
	if _, err := s.run(ctx, "mc", "info"); err != nil {
		return s.done, fmt.Errorf("the BMC does not answer: %w", err)
	}
	if err := s.address(ctx); err != nil {
		return s.done, err
	}
	moved := len(s.done.Changed) > 0
	if err := s.user(ctx); err != nil {
		return s.done, err
	}
	if moved {
		return s.done, s.reset(ctx)
	}
	return s.done, nil
}

func (s *Setup) address(ctx context.Context) error {
	channel := strconv.Itoa(s.NetChannel)
	text, err := s.run(ctx, "lan", "print", channel)
	if err != nil {
		return err
	}
	is := fields(text)
	mask := net.IP(net.CIDRMask(s.Address.Bits(), 32)).String()
	if err := s.differs(ctx, is["IP Address Source"], "Static Address", "lan", "set", channel, "ipsrc", "static"); err != nil {
		return err
	}
	if err := s.differs(ctx, is["IP Address"], s.Address.Addr().String(), "lan", "set", channel, "ipaddr", s.Address.Addr().String()); err != nil {
		return err
	}
	if err := s.differs(ctx, is["Subnet Mask"], mask, "lan", "set", channel, "netmask", mask); err != nil {
		return err
	}
	if s.Gateway.IsValid() {
		gateway := s.Gateway.String()
		if err := s.differs(ctx, is["Default Gateway IP"], gateway, "lan", "set", channel, "defgw", "ipaddr", gateway); err != nil {
			return err
		}
	}
	return nil
}

func (s *Setup) user(ctx context.Context) error {
	lan, channel, id := strconv.Itoa(s.NetChannel), strconv.Itoa(s.MgmtChannel), strconv.Itoa(s.UserID)
	text, err := s.run(ctx, "channel", "info", lan)
	if err != nil {
		return err
	}
	if err := s.differs(ctx, fields(text)["Access Mode"], "always available", "lan", "set", lan, "access", "on"); err != nil {
		return err
	}
	if text, err = s.run(ctx, "channel", "getaccess", channel, id); err != nil {
		return err
	}
	is := fields(text)
	if err := s.differs(ctx, is["User Name"], s.User, "user", "set", "name", id, s.User); err != nil {
		return err
	}
	if err := s.password(ctx, id); err != nil {
		return err
	}
	rights := is["Privilege Level"] + ", " + is["IPMI Messaging"] + ", " + is["Link Authentication"]
	if err := s.differs(ctx, rights, "ADMINISTRATOR, enabled, enabled",
		"channel", "setaccess", channel, id, "callin=on", "ipmi=on", "link=on", "privilege=4"); err != nil {
		return err
	}
	// Not every ipmitool tells whether the user is enabled; enabling twice does no harm.
	if is["Enable Status"] != "enabled" {
		if _, err := s.run(ctx, "user", "enable", id); err != nil {
			return err
		}
	}
	return s.console(ctx, channel, id)
}

// console lets the user see the serial console over LAN, where the controller has that.
func (s *Setup) console(ctx context.Context, channel, id string) error {
	status, err := s.run(ctx, "sol", "payload", "status", channel, id)
	if err == nil && strings.Contains(status, "enabled") {
		return nil
	}
	err = s.write(ctx, "sol", "payload", "enable", channel, id)
	if err != nil && strings.Contains(err.Error(), unknownCommand) {
		s.done.Unknown = append(s.done.Unknown, "sol payload enable")
		return nil
	}
	return err
}

// unknownCommand is ipmitool's word for the completion code C1h (IPMI 2.0, table 5-2).
const unknownCommand = "Invalid command"

// password writes the password unless it is that already. It is longer than 16
// only in the 20-byte form, which old controllers do not know.
func (s *Setup) password(ctx context.Context, id string) error {
	size := "16"
	if len(s.Password) > 16 {
		size = "20"
	}
	if s.isPassword(ctx, id, size, s.Password) && !s.isPassword(ctx, id, size, rand.Text()[:16]) {
		return nil
	}
	return s.write(ctx, "user", "set", "password", id, s.Password, size)
}

// isPassword asks the controller. There are some to which every password is right.
func (s *Setup) isPassword(ctx context.Context, id, size, password string) bool {
	_, err := s.Tool(ctx, "user", "test", id, size, password)
	return err == nil
}

// reset restarts a controller whose address changed.
func (s *Setup) reset(ctx context.Context) error {
	if _, err := s.run(ctx, "mc", "reset", "cold"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case <-time.After(s.Pause):
		case <-ctx.Done():
			return fmt.Errorf("the BMC does not answer %s after its reset", patience)
		}
		if _, err := s.run(ctx, "mc", "info"); err == nil {
			return nil
		}
	}
}

// differs writes when what is differs from what should be.
func (s *Setup) differs(ctx context.Context, is, should string, args ...string) error {
	if is == should {
		return nil
	}
	return s.write(ctx, args...)
}

func (s *Setup) write(ctx context.Context, args ...string) error {
	_, err := s.run(ctx, args...)
	if err == nil {
		s.done.Changed = append(s.done.Changed, s.hide(strings.Join(args, " ")))
	}
	return err
}

// run runs ipmitool; its errors do not show the password.
func (s *Setup) run(ctx context.Context, args ...string) (string, error) {
	text, err := s.Tool(ctx, args...)
	if err != nil {
		return text, errors.New(s.hide(fmt.Sprintf("ipmitool %s: %v", strings.Join(args, " "), err)))
	}
	return text, nil
}

func (s *Setup) hide(text string) string { return strings.ReplaceAll(text, s.Password, "***") }

// fields reads lines of the form "Name   : value", the first of each name.
func fields(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if _, again := out[name]; ok && !again {
			out[name] = strings.TrimSpace(value)
		}
	}
	return out
}
