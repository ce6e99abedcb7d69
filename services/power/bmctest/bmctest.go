// Package bmctest runs management controllers inside a test: OpenIPMI's ipmi_sim, each with a machine that is a process.
package bmctest

import (
	"bytes"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
)

//go:embed chassis.sh
var chassis []byte

// patience is how long a condition is waited for.
const patience = 20 * time.Second

// Port is the UDP port of IPMI.
const Port = 623

// BMC is a running controller.
type BMC struct {
	t                       testing.TB
	Address, user, password string
	dir                     string
}

// Address returns the n-th loopback address of this process; tests that run
// beside each other have other ones.
func Address(n int) string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 64+n, pid>>8&255, pid&255)
}

// Start starts a controller with a machine that is off. It needs root, for its
// port, and ends with the test.
func Start(t testing.TB, address, user, password string) *BMC {
	t.Helper()
	testenv.Root(t)
	sim := testenv.Program(t, "ipmi_sim")
	b := &BMC{t: t, Address: address, user: user, password: password, dir: t.TempDir()}
	b.write("chassis.sh", string(chassis), 0o755)
	b.write("lan.conf", fmt.Sprintf(lanConf, address, Port, b.path("chassis.sh"), user, password), 0o600)
	b.write("sim.emu", "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n", 0o600)
	cmd := exec.Command(sim, "-n", "-c", b.path("lan.conf"), "-f", b.path("sim.emu"), "-s", b.dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if pid := b.Machine(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if t.Failed() {
			t.Logf("ipmi_sim at %s: %s", address, &out)
		}
	})
	b.Until("it answers", func() bool { return exec.Command("ipmitool", b.args("mc", "info")...).Run() == nil })
	return b
}

const lanConf = `name "bmc"
set_working_mc 0x20
  startlan 1
    addr %s %d
    priv_limit admin
    allowed_auths_admin none md5
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s"
  user 1 false "" "" user 1 none
  user 2 true "%s" "%s" admin 10 none md5
`

func (b *BMC) path(name string) string { return filepath.Join(b.dir, name) }

func (b *BMC) write(name, text string, mode os.FileMode) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), mode); err != nil {
		b.t.Fatal(err)
	}
}

func (b *BMC) read(name string) string {
	data, err := os.ReadFile(b.path(name))
	if err != nil && !os.IsNotExist(err) {
		b.t.Error(err)
	}
	return strings.TrimSpace(string(data))
}

// Machine returns the process of the machine; 0 when it is off.
func (b *BMC) Machine() int {
	pid, err := strconv.Atoi(b.read("machine"))
	if err != nil {
		return 0
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(name)) != "sleep" {
		return 0
	}
	return pid
}

// Light returns what the light was told last: seconds, and 1 for ever.
func (b *BMC) Light() string { return b.read("light") }

// Ipmitool asks the controller with ipmitool.
func (b *BMC) Ipmitool(words ...string) string {
	b.t.Helper()
	out, err := exec.Command(testenv.Program(b.t, "ipmitool"), b.args(words...)...).CombinedOutput()
	if err != nil {
		b.t.Errorf("ipmitool %q: %v: %s", words, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b *BMC) args(words ...string) []string {
	return append([]string{"-I", "lanplus", "-C", "3", "-H", b.Address, "-U", b.user, "-P", b.password}, words...)
}

// Until waits for a condition.
func (b *BMC) Until(what string, is func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("BMC at %s: not so in %s: %s", b.Address, patience, what)
		}
	}
}

// Dead takes an address that never answers, like that of a BMC that hangs. It
// returns how often it was spoken to.
func Dead(t testing.TB, address string, port int) (heard func() int) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	n := make(chan int, 1)
	n <- 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for buf := make([]byte, 2048); ; {
			if _, _, err := c.ReadFromUDP(buf); err != nil {
				return
			}
			n <- <-n + 1
		}
	}()
	t.Cleanup(func() { c.Close(); <-ended })
	return func() int { k := <-n; n <- k; return k }
}
