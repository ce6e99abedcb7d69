package bmc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const config = `{"address":"10.50.0.1/16","gateway":"10.50.255.254","user":"ladmin","userid":3,"netchannel":1,"mgmtchannel":1}`

// controller answers as ipmitool 1.8.19 does.
type controller struct {
	source, ip, mask, gateway, access, user, password, privilege, messaging string
	enabled, sol                                                            bool
	deaf                                                                    int  // answers that it leaves out
	yes                                                                     bool // every password is right to it
	poor                                                                    bool // it knows no SOL payload
	wrote                                                                   []string
}

func (c *controller) tool(_ context.Context, args ...string) (string, error) {
	line := strings.Join(args, " ")
	switch {
	case line == "mc info":
		if c.deaf > 0 {
			c.deaf--
			return "", errors.New("exit status 1: Could not open device")
		}
		return "Device ID                 : 32\n", nil
	case line == "lan print 1":
		return fmt.Sprintf("Set in Progress         : Set Complete\nIP Address Source       : %s\nIP Address              : %s\n"+
			"Subnet Mask             : %s\nMAC Address             : 52:54:00:00:00:99\nDefault Gateway IP      : %s\n", c.source, c.ip, c.mask, c.gateway), nil
	case line == "channel info 1":
		return fmt.Sprintf("Channel 0x1 info:\n  Volatile(active) Settings\n    Access Mode          : %s\n"+
			"  Non-Volatile Settings\n    Access Mode          : disabled\n", c.access), nil
	case line == "channel getaccess 1 3":
		return fmt.Sprintf("Maximum User IDs     : 15\n\nUser ID              : 3\nUser Name            : %s\nFixed Name           : No\n"+
			"Link Authentication  : %s\nIPMI Messaging       : %s\nPrivilege Level      : %s\nEnable Status        : %s\n",
			c.user, c.messaging, c.messaging, c.privilege, map[bool]string{true: "enabled", false: "disabled"}[c.enabled]), nil
	case args[1] == "test":
		if args[4] == c.password || c.yes {
			return "Success\n", nil
		}
		return "", errors.New("exit status 1: Set User Password command failed: Unknown (0x80)")
	case c.poor && args[0] == "sol":
		return "", errors.New("exit status 1: Error enabling SOL payload for user 3 on channel 1: Invalid command")
	case line == "sol payload status 1 3":
		return fmt.Sprintf("User 3 on channel 1 is %s\n", map[bool]string{true: "enabled", false: "disabled"}[c.sol]), nil
	}
	c.wrote = append(c.wrote, line)
	switch last := args[len(args)-1]; {
	case strings.Contains(line, "ipsrc"):
		c.source = "Static Address"
	case strings.Contains(line, "ipaddr") && !strings.Contains(line, "defgw"):
		c.ip = last
	case strings.Contains(line, "netmask"):
		c.mask = last
	case strings.Contains(line, "defgw"):
		c.gateway = last
	case strings.Contains(line, "lan set 1 access"):
		c.access = "always available"
	case strings.Contains(line, "set name"):
		c.user = last
	case strings.Contains(line, "set password"):
		c.password = args[4]
	case strings.Contains(line, "setaccess"):
		c.privilege, c.messaging = "ADMINISTRATOR", "enabled"
	case strings.Contains(line, "user enable"):
		c.enabled = true
	case strings.Contains(line, "sol payload enable"):
		c.sol = true
	case line == "mc reset cold":
		c.deaf = 2
	}
	return "", nil
}

func setup(t *testing.T, c *controller) *Setup {
	t.Helper()
	conf, err := Parse(strings.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	return &Setup{Config: conf, Secret: Secret{Password: "hush"}, Tool: c.tool, Pause: time.Microsecond}
}

func TestApply(t *testing.T) {
	c := &controller{source: "DHCP Address", ip: "0.0.0.0", mask: "0.0.0.0", gateway: "0.0.0.0", access: "disabled", privilege: "NO ACCESS", messaging: "disabled"}
	done, err := setup(t, c).Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"lan set 1 ipsrc static", "lan set 1 ipaddr 10.50.0.1", "lan set 1 netmask 255.255.0.0", "lan set 1 defgw ipaddr 10.50.255.254",
		"lan set 1 access on", "user set name 3 ladmin", "user set password 3 hush 16",
		"channel setaccess 1 3 callin=on ipmi=on link=on privilege=4", "user enable 3", "sol payload enable 1 3", "mc reset cold",
	}
	if !slices.Equal(c.wrote, want) {
		t.Errorf("wrote\n%s", strings.Join(c.wrote, "\n"))
	}
	if len(done.Changed) != 9 || len(done.Unknown) != 0 || strings.Contains(strings.Join(done.Changed, " "), "hush") {
		t.Errorf("did %q", done)
	}

	c.wrote = nil
	if done, err := setup(t, c).Apply(t.Context()); err != nil || len(done.Changed) != 0 || len(c.wrote) != 0 {
		t.Errorf("the second time wrote %q, did %q, %v", c.wrote, done, err)
	}

	c.password, c.wrote = "old", nil
	if _, err := setup(t, c).Apply(t.Context()); err != nil || !slices.Equal(c.wrote, []string{"user set password 3 hush 16"}) {
		t.Errorf("for another password wrote %q, %v", c.wrote, err)
	}
}

func TestPasswordIsWrittenWhereEveryPasswordIsRight(t *testing.T) {
	c := &controller{yes: true, password: "old"}
	if _, err := setup(t, c).Apply(t.Context()); err != nil || c.password != "hush" {
		t.Errorf("the password is %q, %v", c.password, err)
	}
}

func TestControllerWithoutSOL(t *testing.T) {
	done, err := setup(t, &controller{poor: true}).Apply(t.Context())
	if err != nil || !slices.Equal(done.Unknown, []string{"sol payload enable"}) {
		t.Errorf("did %q, %v", done, err)
	}
}

func TestNoController(t *testing.T) {
	if _, err := setup(t, &controller{deaf: 1}).Apply(t.Context()); err == nil || !strings.Contains(err.Error(), "the BMC does not answer: ipmitool mc info: exit status 1: Could not open device") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsHideThePassword(t *testing.T) {
	c := &controller{}
	s := setup(t, c)
	s.Tool = func(ctx context.Context, args ...string) (string, error) {
		if slices.Contains(args, "password") {
			return "", errors.New("exit status 1: hush is too short")
		}
		return c.tool(ctx, args...)
	}
	if _, err := s.Apply(t.Context()); err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "user set password 3 *** 16") {
		t.Errorf("got %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"10.50.0.1/16", "fd00::1/64", "is no IPv4 address"},
		{"10.50.255.254", "fd00::1", "gateway fd00::1"},
		{`"ladmin"`, `"administrator-of-it"`, "is not 1 to 16 letters"},
		{`"userid":3`, `"userid":1`, "user id 1 is not 2 to 15"},
		{`"netchannel":1`, `"netchannel":15`, "channel 15"},
		{`"user":`, `"password":"x","user":`, `unknown field "password"`},
	} {
		if _, err := Parse(strings.NewReader(strings.Replace(config, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
}

func TestParseSecret(t *testing.T) {
	if s, err := ParseSecret([]byte(`{"bmc_password":"hush"}`)); err != nil || s.Password != "hush" {
		t.Errorf("got %v, %v", s, err)
	}
	for _, text := range []string{`{}`, `{"bmc_password":"123456789012345678901"}`, `no`} {
		if _, err := ParseSecret([]byte(text)); err == nil {
			t.Errorf("took %s", text)
		}
	}
}
