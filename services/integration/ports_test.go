package integration_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/bridgemib"
	"github.com/luna-hpc/luna/services/integration/room"
)

// TestMain lets snmpd start the test for the bridge's table.
func TestMain(m *testing.M) {
	bridgemib.ServeIfAsked()
	os.Exit(m.Run())
}

// managedSwitch makes a switch that SNMP can ask of the room's bridge.
var managedSwitch = bridgemib.Agent{Bridge: room.Bridge, FDB: 77, Listen: netip.MustParseAddrPort("10.30.255.253:161"), Community: "room7"}

// TestDiscoveryBySwitchPort boots two machines that nobody knows. The one on the port of node003 becomes node003, the other
// stays unknown, and so does a second MAC on that port.
func TestDiscoveryBySwitchPort(t *testing.T) {
	ctx := limit(t, 25*time.Minute)
	l := open(t, ctx)
	c := &checker{t: t, ctx: ctx, l: l}
	c.head("ip", "addr", "add", managedSwitch.Listen.Addr().String()+"/16", "dev", room.Bridge)
	// The first port is nobody's: it shifts the numbers.
	_, err := l.AddHost(ctx, "first", net.HardwareAddr{0x52, 0x54, 0, 0xcc, 0, 1})
	must(t, err)
	other, err := l.AddMachine(room.Machine{Name: "other", MAC: "52:54:00:dd:00:01"})
	must(t, err)
	m, err := l.AddMachine(room.Machine{Name: "unknown", MAC: "52:54:00:dd:00:02"})
	must(t, err)
	number, index := c.numbers("tap1")
	if number == 1 || index == 1 || number == index {
		t.Fatalf("port tap1 has number %d and interface %d: that proves nothing", number, index)
	}
	stop := c.agent(managedSwitch)
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	c.do("switch", "add", "-n", "switch01", "--network", "cluster", "--ip", managedSwitch.Listen.Addr().String(), "--read", managedSwitch.Community)
	// What the port's name ends in and its interface's number belong to other nodes.
	for _, port := range []string{"1", fmt.Sprint(index), fmt.Sprint(number)} {
		c.do("node", "add", "-g", "compute", "--switch", "switch01", "--port", port)
	}
	must(t, other.Start(ctx))
	must(t, m.Start(ctx))
	place := fmt.Sprintf("switch switch01 port tap1 (%d)", number)
	c.eventually("node003 has the machine's MAC", func() (string, bool) { return c.has("node003", m.MAC) })
	c.eventually("the other machine is unknown and seen on its port", func() (string, bool) {
		out := c.said("discover", "list")
		return out, strings.Contains(line(out, other.MAC), "switch switch01 port tap0 ") && !strings.Contains(out, m.MAC)
	})
	must(t, other.Stop())
	if out := c.said("boot", "show", "node003", "--output", "json"); !strings.Contains(out, place) {
		t.Errorf("its boot does not say how it became node003:\n%s", out)
	}
	const address = "10.30.0.3"
	c.up("installed as node003", address)
	c.want(address, "hostname", "node003")

	t.Run("second MAC", func(t *testing.T) { (&checker{t: t, ctx: ctx, l: l}).secondMAC(m, address) })
	t.Run("second VLAN", func(t *testing.T) { (&checker{t: t, ctx: ctx, l: l}).secondVLAN(m, stop) })
}

// secondMAC gives the machine a second MAC, as a guest on it would have one.
func (c *checker) secondMAC(m *room.Machine, address string) {
	const guest = "52:54:00:dd:00:03"
	// arp_ignore keeps the machine's own card from answering for the guest.
	c.ssh(address, "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore && modprobe macvlan && "+
		"ip link add guest0 link $(basename $(dirname $(grep -l "+m.MAC+" /sys/class/net/*/address))) address "+guest+" type macvlan && "+
		"ip addr add 10.30.200.1/16 dev guest0 && ip link set guest0 up && ping -c 1 -w 20 -I guest0 10.30.255.254")
	c.eventually("the second MAC is refused", func() (string, bool) {
		out := c.ssh(address, "curl -s --max-time 20 --interface guest0 'http://10.30.255.254:7050/luna?step=discovery&hwdata=|"+guest+"' || true")
		return out, strings.Contains(out, "the port of node node003, which has the MAC address "+m.MAC)
	})
	if row := line(c.said("discover", "list"), guest); !strings.Contains(row, "switch switch01 port tap1 ") || !strings.Contains(row, "which has the MAC address "+m.MAC) {
		c.t.Errorf("the list of the unknown says %q", row)
	}
	if out, ok := c.has("node003", m.MAC); !ok {
		c.t.Errorf("node003 is\n%s", out)
	}
}

// secondVLAN has the switch learn the MAC in another VLAN too, which changes nothing; and then makes the machine unknown
// again, which becomes the same node.
func (c *checker) secondVLAN(m *room.Machine, stop func()) {
	before := c.said("history", "--output", "json")
	stop()
	again := managedSwitch
	again.Second = 7
	c.agent(again)
	c.eventually("the MAC is in two VLANs", func() (string, bool) {
		out := c.said("cluster", "listmacs")
		row := line(out, m.MAC)
		return out, strings.Contains(row, "1 7") && strings.Contains(row, "node003") && strings.Count(out, m.MAC) == 1
	})
	if after := c.said("history", "--output", "json"); after != before {
		c.t.Errorf("the inventory has changed:\n%s\nwas:\n%s", after, before)
	}
	c.do("node", "change", "node003", "--mac", "")
	must(c.t, m.Reset(c.ctx))
	c.eventually("node003 has the machine's MAC again", func() (string, bool) { return c.has("node003", m.MAC) })
}

// has shows a node, and tells whether it has a MAC.
func (c *checker) has(node, mac string) (string, bool) {
	c.t.Helper()
	out := c.said("node", "show", node, "--output", "json")
	return out, strings.Contains(out, `"`+mac+`"`)
}

// line returns the line of a table with a word in it.
func line(table, word string) string {
	for row := range strings.Lines(table) {
		if strings.Contains(row, word) {
			return row
		}
	}
	return ""
}

// numbers returns the bridge's number of a port, and its interface's.
func (c *checker) numbers(port string) (number, index int) {
	c.t.Helper()
	for file, into := range map[string]*int{"brport/port_no": &number, "ifindex": &index} {
		text := c.head("cat", filepath.Join("/sys/class/net", port, file))
		if _, err := fmt.Sscan(text, into); err != nil {
			c.t.Fatalf("%s of %s: %q: %v", file, port, text, err)
		}
	}
	return number, index
}

// agent runs snmpd at the head until stop or the test's end.
func (c *checker) agent(a bridgemib.Agent) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.ctx)
	cmd, err := a.Command(ctx, c.l.Namespace, folder(c.t))
	must(c.t, err)
	log, err := os.OpenFile(filepath.Join(c.l.Dir(), "snmpd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(c.t, err)
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	must(c.t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	stop = func() {
		cancel()
		<-ended
	}
	c.t.Cleanup(stop)
	return stop
}

// eventually asks again until something is so, for five minutes.
func (c *checker) eventually(what string, ask func() (string, bool)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 5*time.Minute)
	defer cancel()
	for {
		said, ok := ask()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("not so that %s: %s", what, said)
		case <-time.After(time.Second):
		}
	}
}
