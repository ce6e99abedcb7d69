package integration_test

import (
	"encoding/json"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/services/integration/fleet"
	"github.com/luna-hpc/luna/services/integration/room"
)

// silence is how long the bus is away: longer than every time-out of its clients.
const silence = 160 * time.Second

// outage is a composed head whose bus and inventory are away.
type outage struct {
	checker
	engine *engine
}

// run boots a known machine, and one that never booted, while the bus and the
// inventory are away and the other services were killed; then the bus comes back.
func (o *outage) run(known, never *room.Machine) {
	began := time.Now()
	o.compose("kill", "-s", "KILL", "nats", "inventory")
	o.killed("dhcp", "dns", "bootscript", "torrent-seeder")
	must(o.t, known.Reset(o.ctx))
	must(o.t, never.Start(o.ctx))
	stranger := o.stranger()
	addresses := map[string]string{known.Name: "10.30.0.1", never.Name: "10.30.0.2"}
	for _, m := range []*room.Machine{known, never} {
		o.booted(m, addresses[m.Name])
	}
	for _, service := range []string{"dhcp", "dns", "bootscript", "torrent-seeder", "image-packer", "inventory"} {
		o.compose("kill", "-s", "KILL", service)
		o.head("rm", "-f", filepath.Join(o.l.Data(), service, "state.db"))
	}
	o.start("dhcp", "dns", "bootscript", "torrent-seeder", "image-packer")
	if left := silence - time.Since(began); left > 0 {
		time.Sleep(left)
	}
	o.start("nats", "inventory")
	must(o.t, o.l.WaitCommands(o.ctx))
	for _, m := range []*room.Machine{known, never} {
		o.told(m.Name, began)
	}
	o.onceEach(stranger)
}

func (o *outage) compose(args ...string) string {
	o.t.Helper()
	return o.engine.must(o.ctx, "docker-compose", append([]string{"-p", "luna"}, args...)...)
}

// killed kills services and starts them again.
func (o *outage) killed(services ...string) {
	o.t.Helper()
	for _, s := range services {
		o.compose("kill", "-s", "KILL", s)
	}
	o.start(services...)
}

// start starts containers that were killed, and not what they depend on.
func (o *outage) start(services ...string) {
	o.t.Helper()
	for _, s := range services {
		id := strings.TrimSpace(o.compose("ps", "-q", s))
		o.engine.must(o.ctx, "docker", "start", id)
	}
}

// booted waits until a machine has booted: its uptime is shorter than the outage.
func (o *outage) booted(m *room.Machine, address string) {
	o.t.Helper()
	if err := m.WaitConsole(o.ctx, "luna: "); err != nil { // of this boot
		o.t.Fatal(err)
	}
	if err := o.l.WaitUp(o.ctx, address); err != nil {
		o.t.Fatalf("%s without the bus: %v\n%s", m.Name, err, m.Console())
	}
	o.want(address, "hostname", m.Name)
}

var obtained = regexp.MustCompile(`lease of ([0-9.]+) obtained`)

// stranger gets an address for a machine that nobody knows.
func (o *outage) stranger() string {
	o.t.Helper()
	h, err := o.l.AddHost(o.ctx, "stranger", net.HardwareAddr{0x02, 0, 0, 0xee, 0, 1})
	must(o.t, err)
	out, err := h.Command(o.ctx, "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "10", "-s", "/bin/true").CombinedOutput()
	got := obtained.FindStringSubmatch(string(out))
	if err != nil || got == nil {
		o.t.Fatalf("udhcpc: %v\n%s", err, out)
	}
	return got[1]
}

// told waits until the head tells of a boot that succeeded after the outage began.
func (o *outage) told(node string, began time.Time) {
	o.t.Helper()
	for {
		rep, err := o.l.Steps(o.ctx, node)
		if err == nil {
			for _, s := range rep.Steps {
				if at, err := time.Parse(time.RFC3339Nano, s.Time); err == nil && at.After(began) && s.Report.GetName() == "install.success" {
					return
				}
			}
		}
		select {
		case <-o.ctx.Done():
			o.t.Fatalf("the boot of %s during the outage is not told: %v\n%s", node, err, story(o.ctx, o.l, node))
		case <-time.After(time.Second):
		}
	}
}

// onceEach reads the raw streams: no step twice, and the stranger's lease.
func (o *outage) onceEach(address string) {
	o.t.Helper()
	conn, err := fleet.Connect(o.l.Namespace, "operator", filepath.Join(o.l.Dir(), "etc", "operator.creds"))
	must(o.t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(o.t, err)
	boots, err := js.Stream(o.ctx, "BOOTS")
	must(o.t, err)
	seen := map[string]string{}
	state := boots.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		msg, err := boots.GetMsg(o.ctx, seq)
		must(o.t, err)
		var step map[string]any
		must(o.t, json.Unmarshal(msg.Data, &step))
		delete(step, "n") // the head's own count and time of it
		delete(step, "time")
		body, err := json.Marshal(step) // in one order
		must(o.t, err)
		if other := seen[string(body)]; other != "" {
			o.t.Errorf("%s and %s are the same step: %s", other, msg.Subject, body)
		}
		seen[string(body)] = msg.Subject
	}
	leases, err := js.Stream(o.ctx, "SEEN")
	must(o.t, err)
	for {
		msg, err := leases.GetLastMsgForSubject(o.ctx, "luna.evt.dhcp.lease.020000ee0001")
		if err == nil && strings.Contains(string(msg.Data), `"`+address+`"`) {
			return
		}
		select {
		case <-o.ctx.Done():
			o.t.Fatalf("the stranger's lease of %s is not in the stream: %v", address, err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
