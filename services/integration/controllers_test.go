package integration_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/bmcsim"
	"github.com/luna-hpc/luna/services/integration/room"
)

// TestControllers boots a machine whose controller is as it left the factory:
// the node sets it up, and power then works with the new user. A second boot
// finds nothing to set.
func TestControllers(t *testing.T) {
	ctx := limit(t, 30*time.Minute)
	l := open(t, ctx, "LUNA_ROOM_KERNEL=linux-image-amd64")
	c := &checker{t: t, ctx: ctx, l: l}
	bmc := bmcsim.BMC{Dir: folder(t), Address: "10.31.0.1", Port: 9002}
	c.head("ip", "addr", "add", "10.31.255.254/16", "dev", room.Bridge)
	c.head("ip", "addr", "add", bmc.Address+"/16", "dev", room.Bridge)
	c.run(bmc)
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	c.do("network", "add", "-n", "ipmi", "-N", "10.31.0.0", "-P", "16", "--gateway", "10.31.255.254")
	c.do("bmcsetup", "add", "-n", "base", "--password", "n3w-secret")
	c.do("group", "change", "compute", "-b", "base")
	c.do("group", "change", "compute", "--bmcnetwork", "--setnet", "ipmi")
	m, err := l.AddNodeLike(ctx, room.Machine{Firmware: room.BIOS, Memory: 4096, Args: bmc.Arguments()})
	must(t, err)
	c.do("node", "change", m.Name, "--setupbmc", "y", "--bmcip", bmc.Address)
	c.refused("power", m.Name, "status")
	c.follow(m, bmc)
	must(t, bmc.SwitchOn())
	const address = "10.30.0.1"
	c.up("set up its controller", address)
	for _, set := range []string{"ip_addr_src static", "ip_addr 10.31.0.1", "subnet_mask 255.255.0.0", "default_gw_ip_addr 10.31.255.254"} {
		if !strings.Contains(bmc.Sets(), set) {
			t.Errorf("%s is not set:\n%s", set, bmc.Sets())
		}
	}
	c.head("ipmitool", bmc.Ipmitool("ladmin", "n3w-secret", "chassis", "status")...)
	for _, place := range []string{story(ctx, l, m.Name), c.said("node", "show", m.Name, "--script", "install"), c.said("history", "--output", "json"), c.ssh(address, "cat /proc/cmdline")} {
		if strings.Contains(place, "n3w-secret") {
			t.Errorf("the password stands in %s", place)
		}
	}

	once := bmc.Sets()
	c.reboot(m, address)
	c.up("booted again", address)
	if again := bmc.Sets(); again != once {
		t.Errorf("the second boot set\n%s", strings.TrimPrefix(again, once))
	}

	c.do("power", m.Name, "off")
	must(t, c.waitDown(address))
	if out := c.said("power", m.Name, "status"); !strings.Contains(out, "off") {
		t.Errorf("status is %s", out)
	}
	c.do("power", m.Name, "on")
	c.up("switched on", address)
}

// run runs a controller in the head's namespace.
func (c *checker) run(bmc bmcsim.BMC) {
	c.t.Helper()
	name, args, err := bmc.Command()
	must(c.t, err)
	cmd := c.l.Command(c.ctx, name, args...)
	log, err := os.Create(bmc.Dir + "/ipmi_sim.log")
	must(c.t, err)
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	must(c.t, cmd.Start())
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill() // the room may have ended it
		_ = cmd.Wait()
	})
}

// follow switches a machine as its controller is told, until the test ends.
func (c *checker) follow(m *room.Machine, bmc bmcsim.BMC) {
	ctx, cancel := context.WithCancel(c.ctx)
	ended := make(chan struct{})
	was := bmc.Wanted()
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)
			on := bmc.Wanted()
			if on == was {
				continue
			}
			was = on
			err := error(nil)
			if on {
				err = m.Start(ctx)
			} else {
				err = m.Stop()
			}
			if err != nil && ctx.Err() == nil {
				c.t.Error(err)
			}
		}
	}()
	c.t.Cleanup(func() { cancel(); <-ended })
}

// said returns what a command of luna says.
func (c *checker) said(args ...string) string {
	c.t.Helper()
	out, err := c.l.Luna(c.ctx, args...)
	must(c.t, err)
	return out
}

// refused types a command that must fail.
func (c *checker) refused(args ...string) {
	c.t.Helper()
	if out, err := c.l.Luna(c.ctx, args...); err == nil {
		c.t.Errorf("luna %s: %s", strings.Join(args, " "), out)
	}
}
