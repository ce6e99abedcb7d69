package bmc

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// Device is how programs reach the controller.
const Device = "/dev/ipmi0"

// LoadDriver loads the driver that gives programs access to the controller,
// which no device announces. Where it is built in or absent, ipmitool tells.
func LoadDriver(ctx context.Context) {
	for _, module := range []string{"ipmi_si", "ipmi_devintf"} {
		_ = exec.CommandContext(ctx, "modprobe", module).Run()
	}
}

// Ipmitool runs the program of the initrd.
func Ipmitool(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "ipmitool", args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Present tells whether the machine has a controller that its kernel knows.
func Present() bool {
	_, err := os.Stat(Device)
	return err == nil
}

// Look returns what the controller is, and its address on its first channel
// that is a network. One without such a channel is no error.
func Look(ctx context.Context, tool Tool) (*bootscript.Bmc, error) {
	text, err := tool(ctx, "mc", "info")
	if err != nil {
		return nil, fmt.Errorf("the BMC does not answer: %w", err)
	}
	is := fields(text)
	b := &bootscript.Bmc{FirmwareVersion: is["Firmware Revision"], Manufacturer: is["Manufacturer Name"]}
	if text, err = tool(ctx, "lan", "print"); err != nil {
		return b, nil
	}
	is = fields(text)
	b.Mac = strings.ToLower(is["MAC Address"])
	if a, err := netip.ParseAddr(is["IP Address"]); err == nil && !a.IsUnspecified() {
		b.Address = a.String()
	}
	return b, nil
}
