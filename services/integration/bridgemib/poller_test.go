package bridgemib_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/integration/bridgemib"
	"github.com/luna-hpc/luna/services/integration/room"
	switchpoller "github.com/luna-hpc/luna/services/switch-poller"
)

// TestMain lets snmpd start the test for the bridge's table.
func TestMain(m *testing.M) {
	bridgemib.ServeIfAsked()
	os.Exit(m.Run())
}

const (
	community = "room7"
	user      = "luna"
	auth      = "auth-secret"
	priv      = "priv-secret"
)

var agent = netip.MustParseAddrPort("127.0.0.1:161") // in the room

// managed is a room whose bridge is a managed switch with a few hosts.
type managed struct {
	*room.Room
	t     *testing.T
	hosts []*room.Host
	srv   *natstest.Server
	inv   *bus.Conn
	other *bus.Conn
}

// open makes the room. Hosts of which none is kept shift the numbers: of ports, interfaces and names no two are the same.
func open(t *testing.T, fdb, second uint32) *managed {
	testenv.Root(t)
	testenv.Program(t, "snmpd")
	r, err := room.Open(t.Context(), room.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	m := &managed{Room: r, t: t}
	for i := range 3 {
		addr := netip.MustParsePrefix(fmt.Sprintf("10.30.0.%d/16", i+1))
		h, err := r.AddHost(t.Context(), fmt.Sprint("h", i), mac(i+1), addr)
		if err != nil {
			t.Fatal(err)
		}
		m.hosts = append(m.hosts, h)
	}
	m.snmpd(fdb, second)
	return m
}

func mac(n int) net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0, 0, byte(n)} }

// snmpd starts the agent in the room.
func (m *managed) snmpd(fdb, second uint32) {
	a := bridgemib.Agent{Bridge: room.Bridge, FDB: fdb, Second: second, Listen: agent, Community: community, User: user, AuthPassword: auth, PrivPassword: priv}
	dir := filepath.Join(m.Dir(), "snmpd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	cmd, err := a.Command(m.t.Context(), m.Namespace, dir)
	if err != nil {
		m.t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Cancel()
		_ = cmd.Wait() // it was killed
		if m.t.Failed() {
			m.t.Logf("snmpd: %s", said.String())
		}
	})
}

// must runs a command in a namespace and returns its output.
func (m *managed) must(n *room.Namespace, name string, args ...string) string {
	m.t.Helper()
	out, err := room.Output(n.Command(m.t.Context(), name, args...))
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// speak lets all hosts be heard by the bridge.
func (m *managed) speak() {
	m.t.Helper()
	for _, h := range m.hosts {
		m.must(h.Namespace, "ping", "-c", "1", "-w", "20", m.Head().String())
	}
}

// port is what the kernel says of the port of a host: its name, the bridge's number of it, and its interface.
func (m *managed) port(host int) (name string, number, index int) {
	m.t.Helper()
	name = fmt.Sprint("host", host)
	for file, into := range map[string]*int{"brport/port_no": &number, "ifindex": &index} {
		text := m.must(m.Namespace, "cat", filepath.Join("/sys/class/net", name, file))
		if _, err := fmt.Sscanf(strings.TrimSpace(text), "%v", into); err != nil {
			m.t.Fatalf("%s of %s: %q: %v", file, name, text, err)
		}
	}
	return name, number, index
}

// relay carries datagrams between a socket on this machine's loopback and the agent in the room, and returns the socket's port.
func (m *managed) relay() int {
	m.t.Helper()
	here, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		m.t.Fatal(err)
	}
	var there *net.UDPConn
	err = m.Do(func() error {
		there, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	asker := make(chan *net.UDPAddr, 1)
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		carry(here, func(data []byte, from *net.UDPAddr) {
			select {
			case <-asker:
			default:
			}
			asker <- from
			_, _ = there.WriteToUDPAddrPort(data, agent) // what is lost is asked again
		})
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		carry(there, func(data []byte, _ *net.UDPAddr) {
			to := <-asker
			_, _ = here.WriteToUDP(data, to)
		})
	}()
	m.t.Cleanup(func() { here.Close(); there.Close(); close(asker); <-done; <-done })
	return here.LocalAddr().(*net.UDPAddr).Port
}

func carry(from *net.UDPConn, to func([]byte, *net.UDPAddr)) {
	buf := make([]byte, 65536)
	for {
		n, addr, err := from.ReadFromUDP(buf)
		if err != nil {
			return
		}
		to(buf[:n], addr)
	}
}

// poll starts a bus and a switch poller that is told of the switch.
func (m *managed) poll(sw *inventoryv1.Switch) {
	m.t.Helper()
	m.srv = natstest.Start(m.t)
	m.inv, m.other = m.srv.Connect(m.t, "inventory"), m.srv.Connect(m.t, "operator")
	data := m.t.TempDir()
	key, err := secret.MakeKey(filepath.Join(data, "secret.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	for id, text := range map[string]string{"read": community, "auth": auth, "priv": priv} {
		sealed, err := key.Seal(id, []byte(text))
		if err != nil {
			m.t.Fatal(err)
		}
		m.publish(subject.Secret(id), sealed)
	}
	m.object("switch", sw.Id, sw)
	cfg := switchpoller.Default()
	cfg.Interval, cfg.Port = 200*time.Millisecond, uint16(m.relay())
	task, err := switchpoller.New(cfg, run.Deps{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Bus: m.srv.Connect(m.t, switchpoller.Name), SecretKey: filepath.Join(data, "secret.key"), Data: data, Head: "head1"})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
	})
}

func (m *managed) publish(subj string, data []byte) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := m.inv.JS.Publish(ctx, subj, data); err != nil {
		m.t.Fatal(err)
	}
}

func (m *managed) object(noun, id string, o proto.Message) {
	m.t.Helper()
	data, err := wire.Marshal(o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.publish(subject.Object(noun, id), data)
}

// listed waits until mac.list says this: MAC → port name, number and VLANs, node and configured node.
func (m *managed) listed(want map[string]string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	for {
		got := map[string]string{}
		rep, err := bus.Request(ctx, m.other, subject.Command(switchpoller.Name, "mac", "list"), &switchpollerv1.ListMacsRequest{}, &switchpollerv1.ListMacsReply{})
		for _, r := range rep.GetRows() {
			got[r.Seen.Mac] = fmt.Sprintf("%s/%d/%v %s %s", r.Seen.PortName, r.Seen.PortNumber, r.Seen.Vlans, r.Node, r.Configured)
		}
		if err == nil && maps.Equal(got, want) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			polled, pollErr := bus.Request(context.Background(), m.other, subject.Command(switchpoller.Name, "switch", "list"), &switchpollerv1.ListSwitchesRequest{}, &switchpollerv1.ListSwitchesReply{})
			m.t.Fatalf("listed:\n%v (%v)\nwant:\n%v\n%v (%v)\n%s", got, err, want, polled, pollErr, m.must(m.Namespace, "bridge", "fdb"))
		}
	}
}

// TestARealAgentsTable polls Debian's snmpd, which has the forwarding table of a bridge that heard real frames.
func TestARealAgentsTable(t *testing.T) {
	for name, test := range map[string]struct {
		fdb, second uint32
		vlan        string
		sw          *inventoryv1.Switch
	}{
		"version 2c and BRIDGE-MIB":  {0, 0, "[]", &inventoryv1.Switch{Version: "2c", ReadId: "read"}},
		"version 3 and Q-BRIDGE-MIB": {77, 7, "[1 7]", &inventoryv1.Switch{Version: "3", User: user, AuthProtocol: "SHA", AuthId: "auth", PrivProtocol: "AES", PrivId: "priv"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := open(t, test.fdb, test.second)
			m.speak()
			test.sw.Id, test.sw.Name, test.sw.Ip, test.sw.Oid = "S1", "switch01", "127.0.0.1", ".1.3.6.1.2.1.17.7.1.2.2.1.2"
			m.poll(test.sw)
			want, ports := map[string]string{}, []string{}
			for i := range m.hosts {
				port, number, index := m.port(i)
				if strings.Contains(port, fmt.Sprint(number)) || number == index || strings.Contains(port, fmt.Sprint(index)) {
					t.Fatalf("port %s has number %d and interface %d: that proves nothing", port, number, index)
				}
				ports = append(ports, fmt.Sprintf("%s/%d/%s", port, number, test.vlan))
				want[mac(i+1).String()] = ports[i] + "  "
			}
			m.listed(want)

			// One node is configured by the port's name, one by its number.
			_, number, _ := m.port(1)
			m.object("node", "N1", &inventoryv1.Node{Id: "N1", Name: "node001", Mac: mac(1).String(), SwitchId: "S1", Port: "host0"})
			m.object("node", "N2", &inventoryv1.Node{Id: "N2", Name: "node002", Mac: mac(3).String(), SwitchId: "S1", Port: fmt.Sprint(number)})
			want[mac(1).String()] = ports[0] + " node001 node001"
			want[mac(2).String()] = ports[1] + "  node002"
			want[mac(3).String()] = ports[2] + " node002 "
			m.listed(want)

			// The first machine's card moves to the second one's place.
			m.must(m.hosts[0].Namespace, "ip", "link", "set", "eth0", "down")
			m.must(m.hosts[1].Namespace, "ip", "link", "set", "eth0", "address", mac(1).String())
			m.speakFrom(1)
			want[mac(1).String()] = ports[1] + " node001 node002"
			m.listed(want)

			// What is behind an uplink is not told any more; what was told before stays until it is over.
			test.sw.Uplinks = []string{"host2"}
			m.object("switch", "S1", test.sw)
			m.counted(2) // else a round that began before could tell of what speaks now
			m.must(m.hosts[2].Namespace, "ip", "link", "set", "eth0", "address", mac(9).String())
			m.speakFrom(2)
			m.must(m.hosts[1].Namespace, "ip", "link", "set", "eth0", "address", mac(8).String())
			m.speakFrom(1)
			want[mac(8).String()] = ports[1] + "  node002"
			m.listed(want)
		})
	}
}

// counted waits until a round of asking the switch has found so many MACs.
func (m *managed) counted(macs uint32) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	for {
		rep, err := bus.Request(ctx, m.other, subject.Command(switchpoller.Name, "switch", "list"), &switchpollerv1.ListSwitchesRequest{}, &switchpollerv1.ListSwitchesReply{})
		if err == nil && len(rep.Switches) == 1 && rep.Switches[0].Macs == macs {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			m.t.Fatalf("%v (%v), want a round with %d MACs", rep, err, macs)
		}
	}
}

func (m *managed) speakFrom(host int) {
	m.t.Helper()
	m.must(m.hosts[host].Namespace, "ping", "-c", "1", "-w", "20", m.Head().String())
}
