// Package bmc sets a node's management controller up, over the machine's own channel to it.
package bmc

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Config is how the controller should be.
type Config struct {
	// Address with the prefix of its network; IPv4.
	Address netip.Prefix `json:"address"`
	// Gateway is not valid when there is none.
	Gateway netip.Addr `json:"gateway"`
	// User is the administrator's name, and UserID its slot, 2 to 15.
	User   string `json:"user"`
	UserID int    `json:"userid"`
	// NetChannel is the channel with the address, MgmtChannel that of the user's rights.
	NetChannel  int `json:"netchannel"`
	MgmtChannel int `json:"mgmtchannel"`
	// Required makes a failure end the installation.
	Required bool `json:"required"`
	// Missing says what the head lacks to describe the controller; the rest is empty then.
	Missing string `json:"missing"`
}

// Secret is what the head tells apart from the rest.
type Secret struct {
	Password string `json:"bmc_password"`
}

// The limits of IPMI 2.0, 22.29 and 22.30.
const (
	maxUser     = 16
	maxPassword = 20
)

// Parse reads a Config strictly and checks it.
func Parse(r io.Reader) (Config, error) {
	var c Config
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read the BMC's configuration: %w", err)
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("the BMC's configuration: %w", err)
	}
	return c, nil
}

func (c Config) check() error {
	switch {
	case c.Missing != "":
		return nil
	case !c.Address.Addr().Is4():
		return fmt.Errorf("address %q is no IPv4 address with a prefix length", c.Address)
	case c.Gateway.IsValid() && !c.Gateway.Is4():
		return fmt.Errorf("gateway %s is no IPv4 address", c.Gateway)
	case c.User == "" || len(c.User) > maxUser || strings.ContainsAny(c.User, " \t\r\n"):
		return fmt.Errorf("user %q is not 1 to %d letters", c.User, maxUser)
	case c.UserID < 2 || c.UserID > 15:
		return fmt.Errorf("user id %d is not 2 to 15", c.UserID)
	}
	for _, channel := range []int{c.NetChannel, c.MgmtChannel} {
		if channel < 1 || channel > 14 {
			return fmt.Errorf("channel %d is not 1 to 14", channel)
		}
	}
	return nil
}

// ParseSecret reads the head's answer.
func ParseSecret(data []byte) (Secret, error) {
	var s Secret
	if err := json.Unmarshal(data, &s); err != nil {
		return Secret{}, fmt.Errorf("read the node's secrets: %w", err)
	}
	if s.Password == "" || len(s.Password) > maxPassword {
		return Secret{}, fmt.Errorf("the BMC's password is not 1 to %d letters long", maxPassword)
	}
	return s, nil
}
