package swarm_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// switchroom is a switch with machines: network namespaces on a bridge in one of their own, each
// machine a process, its link shaped in both directions.
type switchroom struct {
	t       testing.TB
	name    string
	rate    string // of each link, as tc(8) has it; empty is not shaped
	payload payload
	torrent string
	dir     string
	heads   []netip.Addr
	count   int
	rack    int       // of machines that are plugged in from now on
	began   time.Time // when nodes were last told to
}

// machine is a process in a namespace.
type machine struct {
	room  *switchroom
	index int
	addr  netip.Addr
	role  role
	cmd   *exec.Cmd
	in    io.WriteCloser
	last  latest[word]
	done  latest[time.Time]
	ready chan struct{}
	over  chan struct{}
	error latest[string]
	said  *bytes.Buffer // on its standard error, to be read when it is over
}

// rooms counts them, so that each has names of its own.
var rooms atomic.Int32

func newSwitchroom(t testing.TB, rate string, length int, pieces ...int) *switchroom {
	t.Helper()
	testenv.Root(t)
	testenv.Program(t, "tc")
	r := &switchroom{t: t, name: fmt.Sprintf("luna-swarm-%d-%d", os.Getpid(), rooms.Add(1)), rate: rate}
	// A node's payload lies in memory.
	var err error
	if r.dir, err = os.MkdirTemp("/dev/shm", r.name+"-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(r.dir) })
	r.payload, r.torrent = roomPayload(t, r.dir, length, 77, pieces...)
	r.ip("netns", "add", r.name)
	t.Cleanup(func() { r.ip("netns", "delete", r.name) })
	r.ip("-n", r.name, "link", "add", "br0", "type", "bridge")
	r.ip("-n", r.name, "link", "set", "br0", "up")
	return r
}

// nextRack gives machines from now on a switch of their own, with a trunk to the first one, which is not shaped.
// They reach all others without a router. The trunk's ends are up1 in the rack and down1 at the first switch.
func (r *switchroom) nextRack() (network netip.Prefix) {
	r.t.Helper()
	r.rack++
	br, up, down := fmt.Sprintf("br%d", r.rack), fmt.Sprintf("up%d", r.rack), fmt.Sprintf("down%d", r.rack)
	r.ip("-n", r.name, "link", "add", br, "type", "bridge")
	r.ip("-n", r.name, "link", "set", br, "up")
	r.ip("-n", r.name, "link", "add", up, "type", "veth", "peer", "name", down)
	r.ip("-n", r.name, "link", "set", up, "master", br, "up")
	r.ip("-n", r.name, "link", "set", down, "master", "br0", "up")
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(r.rack), 0}), 24)
}

// counted returns the bytes that an interface has received and sent.
func (r *switchroom) counted(namespace, dev string) (received, sent int64) {
	r.t.Helper()
	var links []struct {
		Stats64 struct{ RX, TX struct{ Bytes int64 } }
	}
	out := command(r.t, "ip", "-n", namespace, "-s", "-j", "link", "show", dev)
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		r.t.Fatalf("%v: %s", err, out)
	}
	return links[0].Stats64.RX.Bytes, links[0].Stats64.TX.Bytes
}

func (r *switchroom) ip(args ...string) { r.t.Helper(); command(r.t, "ip", args...) }

func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (m *machine) namespace() string { return fmt.Sprintf("%s-%d", m.room.name, m.index) }

func (m *machine) port() string { return fmt.Sprintf("p%d", m.index) }

// plug makes a machine's namespace and link.
func (r *switchroom) plug() *machine {
	r.t.Helper()
	r.count++
	m := &machine{room: r, index: r.count, addr: netip.AddrFrom4([4]byte{10, 77, byte(r.rack), byte(r.count)})}
	ns := m.namespace()
	r.ip("netns", "add", ns)
	r.t.Cleanup(func() { m.kill(); r.ip("netns", "delete", ns) })
	r.ip("-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", m.port(), "netns", r.name)
	r.ip("-n", ns, "addr", "add", m.addr.String()+"/16", "dev", "eth0")
	r.ip("-n", ns, "link", "set", "lo", "up")
	r.ip("-n", ns, "link", "set", "eth0", "up")
	r.ip("-n", r.name, "link", "set", m.port(), "master", fmt.Sprintf("br%d", r.rack), "up")
	if r.rate != "" {
		m.shape(r.rate)
	}
	return m
}

// shape gives a machine's link a rate, as tc(8) has it, in both directions.
func (m *machine) shape(rate string) {
	m.room.t.Helper()
	for ns, dev := range map[string]string{m.namespace(): "eth0", m.room.name: m.port()} {
		command(m.room.t, "tc", "-n", ns, "qdisc", "replace", "dev", dev, "root", "tbf", "rate", rate, "burst", "15kb", "limit", "150kb")
	}
}

// head adds a head that has the payload, and waits until it offers it.
func (r *switchroom) head() *machine {
	r.t.Helper()
	m := r.plug()
	r.heads = append(r.heads, m.addr)
	m.role = role{Head: true, Addr: m.addr, Torrent: r.torrent, Dir: r.payload.dir}
	m.start()
	return m
}

// nodes adds nodes, which wait for the word.
func (r *switchroom) nodes(n int, change ...func(*role)) (list []*machine) {
	r.t.Helper()
	for range n {
		m := r.plug()
		m.role = role{Addr: m.addr, Torrent: r.torrent, Heads: r.heads, Stall: 8 * time.Second,
			Dir: filepath.Join(r.dir, strconv.Itoa(m.index))}
		for _, c := range change {
			c(&m.role)
		}
		m.start()
		list = append(list, m)
	}
	return list
}

// start runs a machine's process and waits until it is ready.
func (m *machine) start() {
	m.room.t.Helper()
	data, err := json.Marshal(m.role)
	if err != nil {
		m.room.t.Fatal(err)
	}
	m.run(envRole+"="+string(data), os.Args[0])
	select {
	case <-m.ready:
	case <-m.over:
		m.room.t.Fatalf("machine %d ends: %s", m.index, m.error.get())
	case <-time.After(patience):
		m.room.t.Fatalf("machine %d is not ready", m.index)
	}
}

// run starts a program in a machine's namespace, with one more variable in its environment.
func (m *machine) run(variable, name string, args ...string) {
	m.room.t.Helper()
	m.cmd = exec.Command("ip", append([]string{"netns", "exec", m.namespace(), name}, args...)...)
	m.cmd.Env = append(os.Environ(), variable)
	m.said = &bytes.Buffer{}
	m.cmd.Stderr = io.MultiWriter(os.Stderr, m.said)
	in, err := m.cmd.StdinPipe()
	if err != nil {
		m.room.t.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		m.room.t.Fatal(err)
	}
	m.in, m.ready, m.over = in, make(chan struct{}), make(chan struct{})
	if err := m.cmd.Start(); err != nil {
		m.room.t.Fatal(err)
	}
	go m.listen(out)
}

func (m *machine) listen(out io.Reader) {
	defer close(m.over)
	for s := bufio.NewScanner(out); s.Scan(); {
		var w word
		if json.Unmarshal(s.Bytes(), &w) != nil {
			continue
		}
		if w.Ready {
			close(m.ready)
			continue
		}
		if w.Complete {
			m.done.set(time.Now())
		}
		m.last.set(w)
	}
	if err := m.cmd.Wait(); err != nil {
		m.error.set(err.Error())
	}
}

// tell writes a line to a machine's input.
func (m *machine) tell(line string) {
	m.room.t.Helper()
	if _, err := fmt.Fprintln(m.in, line); err != nil {
		m.room.t.Fatalf("machine %d: %v", m.index, err)
	}
}

func (m *machine) signal(s syscall.Signal) {
	m.room.t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.room.t.Fatalf("machine %d: %v", m.index, err)
	}
}

// kill ends a machine's process at once, if it runs.
func (m *machine) kill() {
	if m.cmd != nil && m.cmd.Process != nil {
		_ = m.cmd.Process.Kill()
		<-m.over
	}
}

// link takes a machine's cable out, or puts it in.
func (m *machine) link(state string) {
	m.room.t.Helper()
	m.room.ip("-n", m.room.name, "link", "set", m.port(), state)
}

// sent returns the bytes that a machine's interface has sent.
func (m *machine) sent() int64 {
	m.room.t.Helper()
	_, sent := m.room.counted(m.namespace(), "eth0")
	return sent
}

func begin(list []*machine) {
	list[0].room.began = time.Now()
	for _, m := range list {
		m.tell("go")
	}
}

// share waits until the machines together have a share of what they are to have.
func share(list []*machine, part float64) {
	t := list[0].room.t
	t.Helper()
	eventually(t, func() bool {
		var have, all int64
		for _, m := range list {
			have += m.last.get().Stats.Completed
			all += m.room.payload.size
		}
		return float64(have) >= part*float64(all)
	})
}

// complete waits until every machine has all of it, and says how long that took, beside size ÷ link.
func (r *switchroom) complete(what string, list []*machine) {
	r.t.Helper()
	allComplete(list, surviving)
	var last time.Time
	for _, m := range list {
		if done := m.done.get(); done.After(last) {
			last = done
		}
	}
	var mbit float64
	if _, err := fmt.Sscanf(r.rate, "%fmbit", &mbit); err != nil {
		r.t.Fatalf("rate %q: %v", r.rate, err)
	}
	bound := time.Duration(float64(r.payload.size) * 8e3 / mbit)
	r.t.Logf("%s: complete %s after the beginning, size ÷ link is %s", what, last.Sub(r.began).Round(time.Millisecond), bound.Round(time.Millisecond))
}

// allComplete waits until every machine has all of it, and compares the bytes.
func allComplete(list []*machine, wait time.Duration) {
	t := list[0].room.t
	t.Helper()
	end := time.After(wait)
	for _, m := range list {
		for m.done.get().IsZero() {
			select {
			case <-end:
				t.Fatalf("machine %d is not complete: %+v", m.index, m.last.get().Stats)
			case <-m.over:
				t.Fatalf("machine %d has ended: %s", m.index, m.error.get())
			case <-time.After(5 * time.Millisecond):
			}
		}
		m.room.payload.arrived(t, m.role.Dir)
	}
}

// stats sums up what came from where.
func stats(list []*machine) (s swarm.Stats) {
	for _, m := range list {
		one := m.last.get().Stats
		s.Completed += one.Completed
		s.FromHead += one.FromHead
		s.FromPeers += one.FromPeers
	}
	return s
}
