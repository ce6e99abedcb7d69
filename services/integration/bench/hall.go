package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// congestion is how TCP controls congestion: as in the kernels that distributions ship, whatever this machine prefers.
const congestion = "cubic"

// oneProcessor has programs in Go count on one processor: many machines share few here.
const oneProcessor = "GOMAXPROCS=1"

var swarmHead = netip.MustParseAddr("10.30.0.1")

// hall is a head and nodes on links of one rate, with one way to get the payload from it to them.
type hall struct {
	shape   shape
	way     way
	payload *payload
	tell    func(args []string)
	room    *room.Room
	head    *seat
	nodes   []*seat
	servers []*runner
	counted [2]*cgroup // of the head, of the nodes
}

// seat is one machine's place.
type seat struct {
	host *room.Host
	addr netip.Addr
	mac  net.HardwareAddr
	dir  string
	run  *runner
}

// openHall makes the namespaces and starts what runs on the head.
func openHall(ctx context.Context, s shape, w way, p *payload, tell func([]string)) (*hall, error) {
	h := &hall{shape: s, way: w, payload: p, tell: tell}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *hall) open(ctx context.Context) (err error) {
	if err := allowCongestion(); err != nil {
		return err
	}
	if h.room, err = room.Open(ctx, room.Options{Dir: h.payload.dir}); err != nil {
		return err
	}
	for i := range h.counted {
		if h.counted[i], err = newCgroup(fmt.Sprintf("%s-%d", h.room.Name(), i)); err != nil {
			return err
		}
	}
	for i := range 1 + h.shape.nodes {
		one, err := h.seat(ctx, i)
		if err != nil {
			return err
		}
		if i == 0 {
			h.head = one
		} else {
			h.nodes = append(h.nodes, one)
		}
	}
	if err := h.introduce(); err != nil {
		return err
	}
	for _, c := range h.way.head(h) {
		if err := h.serve(ctx, c); err != nil {
			return err
		}
	}
	for _, n := range h.nodes {
		if n.run, err = h.start(n, h.way.node(h, n), h.counted[1]); err != nil {
			return err
		}
	}
	return nil
}

// introduce tells every machine where all others are.
func (h *hall) introduce() error {
	all := append([]*seat{h.head}, h.nodes...)
	for _, one := range all {
		for _, other := range all {
			if other == one {
				continue
			}
			if err := one.host.Know(other.addr, other.mac); err != nil {
				return err
			}
		}
	}
	return nil
}

// allowCongestion lets namespaces use the congestion control: kernels whose own is another restrict it.
func allowCongestion() error {
	const file = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
	allowed := strings.Fields(firstLine(file))
	if slices.Contains(allowed, congestion) {
		return nil
	}
	if err := os.WriteFile(file, []byte(strings.Join(append(allowed, congestion), " ")), 0); err != nil {
		return fmt.Errorf("let namespaces use TCP's congestion control %s: %w", congestion, err)
	}
	return nil
}

// seat makes the place of machine i; 0 is the head.
func (h *hall) seat(ctx context.Context, i int) (*seat, error) {
	s := &seat{addr: netip.AddrFrom4([4]byte{10, 30, 0, byte(1 + i)}), mac: net.HardwareAddr{0x52, 0x54, 0, 0xbb, 0, byte(i)}, dir: filepath.Join(h.payload.dir, fmt.Sprint(i))}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if s.host, err = h.room.AddHost(ctx, fmt.Sprint(i), s.mac, netip.PrefixFrom(s.addr, 16)); err != nil {
		return nil, err
	}
	// Multicast goes to no other place than here.
	if _, err := room.Output(s.host.Command(ctx, "ip", "route", "add", "224.0.0.0/4", "dev", "eth0")); err != nil {
		return nil, err
	}
	if _, err := room.Output(s.host.Command(ctx, "sysctl", "-qw", "net.ipv4.tcp_congestion_control="+congestion)); err != nil {
		return nil, err
	}
	return s, s.host.Shape(ctx, room.Link{Rate: fmt.Sprintf("%.0fkbit", h.shape.mbit*1000), Bucket: fmt.Sprintf("%dkb", h.shape.bucket), Queue: fmt.Sprintf("%dkb", h.shape.queue)})
}

// serve starts a program of the head and waits until it says that it is ready, if it does.
func (h *hall) serve(ctx context.Context, c call) error {
	r, err := h.start(h.head, c, h.counted[0])
	if err != nil {
		return err
	}
	h.servers = append(h.servers, r)
	if c.atBegin {
		return nil
	}
	if !c.part {
		if err := r.begin(); err != nil {
			return err
		}
	}
	if c.ready == "" {
		return nil
	}
	select {
	case <-r.ready:
		return r.begin()
	case <-r.over:
		return fmt.Errorf("%s ended: %s", c.args[0], r.said())
	case <-time.After(limit):
		return fmt.Errorf("%s is not ready: %s", c.args[0], r.said())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends everything.
func (h *hall) close() error {
	var errs []error
	for _, r := range h.servers {
		errs = append(errs, r.kill())
	}
	for _, n := range h.nodes {
		if n.run != nil {
			errs = append(errs, n.run.kill())
		}
	}
	if h.room != nil {
		errs = append(errs, h.room.Close())
	}
	for _, g := range h.counted {
		if g != nil {
			errs = append(errs, g.remove())
		}
	}
	return errors.Join(errs...)
}

// call is how a program is called.
type call struct {
	args []string
	env  []string
	// ready is what it says when it serves, done when it has all; a node without done has all when it ends well.
	ready, done string
	// part says that it plays a part of Peer, and waits for the word itself.
	part bool
	// atBegin says that a program of the head starts when the nodes do.
	atBegin bool
}

// play is the call of this program in a part.
func play(p part, done string) call {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and an address
	}
	return call{args: []string{"/proc/self/exe"}, env: []string{envPeer + "=" + string(text)}, ready: "ready", done: done, part: true}
}

// runner is a program that runs, or waits for the word.
type runner struct {
	cmd         *exec.Cmd
	in          io.WriteCloser
	ready, full chan struct{}
	over        chan struct{}
	at          time.Time // when it had all; once full is closed
	mu          sync.Mutex
	tail        []string
	err         error
}

// start starts a program at a seat; one that does not wait for the word by itself does so in a shell.
func (h *hall) start(s *seat, c call, group *cgroup) (*runner, error) {
	h.tell(c.args)
	args := c.args
	if c.part {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		args = []string{self}
	} else {
		args = append([]string{"sh", "-c", `read -r go && exec "$@"`, "sh"}, args...)
	}
	cmd := s.host.Command(context.Background(), args[0], args[1:]...)
	cmd.Env, cmd.Dir = append(append(os.Environ(), "HOME="+s.dir, oneProcessor), c.env...), s.dir
	cmd.SysProcAttr.Pdeathsig = 0 // it would be killed with the thread that starts it
	r := &runner{cmd: cmd, ready: make(chan struct{}), full: make(chan struct{}), over: make(chan struct{})}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if r.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go r.listen(out, c)
	return r, group.take(cmd.Process.Pid)
}

// listen hears what the program says, until it ends.
func (r *runner) listen(out io.ReadCloser, c call) {
	defer close(r.over)
	defer out.Close()
	ready, full := false, false
	for s := bufio.NewScanner(out); s.Scan(); {
		line := s.Text()
		r.mu.Lock()
		r.tail = append(r.tail[max(0, len(r.tail)-20):], line)
		r.mu.Unlock()
		if !ready && c.ready != "" && strings.Contains(line, c.ready) {
			ready = true
			close(r.ready)
		}
		if !full && c.done != "" && strings.Contains(line, c.done) {
			full, r.at = true, time.Now()
			close(r.full)
		}
	}
	r.err = r.cmd.Wait()
	if c.done == "" && r.err == nil {
		r.at = time.Now()
		close(r.full)
	}
}

// begin gives the word.
func (r *runner) begin() error {
	_, err := fmt.Fprintln(r.in, "go")
	return err
}

// said is the end of what the program said.
func (r *runner) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.tail, "\n")
}

func (r *runner) kill() error {
	select {
	case <-r.over:
		return nil
	default:
	}
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-r.over
	return nil
}

// run lets all nodes begin at once, waits until all have the payload, and counts.
func (h *hall) run(ctx context.Context) (r result, err error) {
	before, err := h.head.host.Bytes()
	if err != nil {
		return r, err
	}
	idle, all := processors()
	begun := time.Now()
	for _, n := range h.nodes {
		if err := n.run.begin(); err != nil {
			return r, err
		}
	}
	for _, s := range h.servers {
		if err := s.begin(); err != nil { // to those that have begun it is nothing
			return r, err
		}
	}
	times, err := h.wait(ctx, begun)
	if err != nil {
		return r, err
	}
	after, err := h.head.host.Bytes()
	if err != nil {
		return r, err
	}
	idleAfter, allAfter := processors()
	bound := h.shape.bound().Seconds()
	slices.Sort(times)
	r = result{First: times[0] / bound, Middle: times[len(times)/2] / bound, Last: times[len(times)-1] / bound,
		Sent: float64(after.Sent-before.Sent) / float64(h.payload.size), Busy: 1 - (idleAfter-idle)/(allAfter-all)}
	return r, h.count(&r)
}

// count reads the control groups.
func (h *hall) count(r *result) error {
	var spent time.Duration
	for _, g := range h.counted {
		t, err := g.spent()
		if err != nil {
			return err
		}
		spent += t
	}
	peak, err := h.counted[1].peak()
	r.Spent = spent.Seconds() / float64(h.shape.nodes) / (float64(h.payload.size) / 1e9)
	r.Memory = float64(peak) / float64(h.shape.nodes) / 1e6
	return err
}

// wait returns in how many seconds each node had all, and compares the bytes.
func (h *hall) wait(ctx context.Context, begun time.Time) (times []float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Duration(max(1, h.way.slowness(h.shape.nodes)))*h.shape.bound()+time.Minute)
	defer cancel()
	for _, n := range h.nodes {
		select {
		case <-n.run.full:
			times = append(times, n.run.at.Sub(begun).Seconds())
		case <-n.run.over:
			select {
			case <-n.run.full: // both at once
				times = append(times, n.run.at.Sub(begun).Seconds())
				continue
			default:
			}
			return nil, fmt.Errorf("node %s ended: %v: %s", n.addr, n.run.err, n.run.said())
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d nodes are complete: %w: %s", len(times), len(h.nodes), ctx.Err(), n.run.said())
		}
	}
	for _, n := range h.nodes {
		if err := h.payload.arrived(n.dir); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// processors are the times that this machine's processors were idle, and all of their times, in ticks.
func processors() (idle, all float64) {
	fields := strings.Fields(firstLine("/proc/stat"))
	for i, f := range fields {
		var n float64
		if _, err := fmt.Sscan(f, &n); err != nil || i > 8 { // after steal comes what is in user
			continue
		}
		if all += n; i == 4 || i == 5 { // idle, and waiting for a disk
			idle += n
		}
	}
	return idle, all
}
