// Package bmcsim is the management controller of a machine in the room: OpenIPMI's ipmi_sim, which the machine speaks to
// over its KCS interface, and others over the network.
package bmcsim

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed control.sh
var control []byte

// BMC is a controller whose files are in Dir, which must exist.
type BMC struct {
	Dir string
	// Address is where it listens for IPMI over LAN, whatever it is told to have.
	Address string
	// Port is the TCP port that the machine connects to.
	Port int
}

const config = `name "vm"
set_working_mc 0x20
  startlan 1
    addr %[1]s 623
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
    lan_config_program "%[2]s"
  endlan
  serial 15 127.0.0.1 %[3]d codec VM
  chassis_control "%[2]s"
  user 1 false "" "" user 1 none
  user 2 true "factory" "factory" admin 10 none md2 md5 straight
  user 3 false "nobody" "" user 10 none md2 md5 straight
`

const emulator = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n"

// Command writes the controller's files and returns what runs it.
func (b BMC) Command() (name string, args []string, err error) {
	for file, text := range map[string]string{
		"control.sh": string(control), "lan.conf": fmt.Sprintf(config, b.Address, b.path("control.sh"), b.Port), "vm.emu": emulator,
	} {
		if err := os.WriteFile(b.path(file), []byte(text), 0o755); err != nil {
			return "", nil, fmt.Errorf("write the controller's files: %w", err)
		}
	}
	return "ipmi_sim", []string{"-n", "-c", b.path("lan.conf"), "-f", b.path("vm.emu"), "-s", b.Dir}, nil
}

// Arguments are QEMU's for a machine with this controller.
func (b BMC) Arguments() []string {
	return []string{
		"-chardev", fmt.Sprintf("socket,id=bmc,host=127.0.0.1,port=%d,reconnect=5", b.Port),
		"-device", "ipmi-bmc-extern,id=bmc0,chardev=bmc", "-device", "isa-ipmi-kcs,bmc=bmc0",
	}
}

// Wanted tells whether the machine shall be on.
func (b BMC) Wanted() bool {
	power, _ := os.ReadFile(b.path("power")) // not there before the first command
	return strings.TrimSpace(string(power)) == "1"
}

// SwitchOn presses the button of a machine that is off.
func (b BMC) SwitchOn() error { return os.WriteFile(b.path("power"), []byte("1\n"), 0o600) }

// Sets returns the settings of the network that were written, one a line.
func (b BMC) Sets() string {
	data, _ := os.ReadFile(b.path("sets")) // not there before the first one
	return string(data)
}

// Ipmitool returns the arguments with which ipmitool asks the controller as a user.
func (b BMC) Ipmitool(user, password string, words ...string) []string {
	return append([]string{"-I", "lanplus", "-C", "3", "-H", b.Address, "-U", user, "-P", password}, words...)
}

func (b BMC) path(name string) string { return filepath.Join(b.Dir, name) }
