package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/integration/fleet"
	"github.com/luna-hpc/luna/services/integration/room"
)

const (
	hallNodes = 50
	hallHead  = "10.30.255.254"
)

// hall is a head of separate processes and a client on its network, without machines.
type hall struct {
	*testing.T
	ctx    context.Context
	dir    string
	head   *fleet.Head
	client *room.Host
	web    *http.Client

	mu        sync.Mutex
	boots     map[string]bool   // ids of boots that the head began
	strangers map[string]string // MAC → address that it acknowledged
}

func newHall(t *testing.T, ctx context.Context) *hall {
	t.Helper()
	h := &hall{T: t, ctx: ctx, dir: folder(t), boots: map[string]bool{}, strangers: map[string]string{}}
	r, err := room.Open(ctx, room.Options{Dir: h.dir, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	h.client, err = r.AddHost(ctx, "client", net.HardwareAddr{0x52, 0x54, 0, 0xcc, 0, 1}, netip.MustParsePrefix("10.30.200.1/16"))
	must(t, err)
	deploy, err := filepath.Abs("../../deploy")
	must(t, err)
	h.head, err = fleet.New(ctx, r.Namespace, fleet.Options{Name: "head", Dir: h.dir, Bin: bin(t), Deploy: deploy})
	must(t, err)
	h.web = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, network, address string) (c net.Conn, err error) {
		err = h.client.Do(func() error { c, err = (&net.Dialer{Timeout: 5 * time.Second}).Dial(network, address); return err })
		return c, err
	}}}
	must(t, h.head.Start(fleet.NATS))
	must(t, h.head.Streams(ctx, 1))
	must(t, h.head.Start(victims...))
	h.describe()
	must(t, h.head.WaitReady(ctx, h.revision(), victims[1:]...))
	for { // until the release's files are here
		text, err := h.get("step=install&node=node001")
		if err == nil && strings.HasPrefix(text, "200 ") {
			return h
		}
		select {
		case <-ctx.Done():
			t.Fatal(text, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// victims are what is killed; the server is the first.
var victims = []string{fleet.NATS, "inventory", "dhcp", "dns", "bootscript"}

// describe makes a cluster of nodes that have addresses and MACs.
func (h *hall) describe() {
	h.Helper()
	for _, line := range []string{
		"cluster init --frontend_address " + hallHead,
		"network add -n cluster -N 10.30.0.0 -P 16 --gateway 10.30.255.254 --nameservers 10.30.255.254",
		"cluster makedhcp --network cluster --start_ip 10.30.128.1 --end_ip 10.30.140.255",
	} {
		h.luna(strings.Fields(line)...)
	}
	h.osimage()
	h.luna("group", "add", "-n", "compute", "-o", "compute", "-N", "cluster")
	for i := range hallNodes {
		h.luna("node", "add", "-g", "compute", "--mac", nodeMAC(i).String())
	}
}

// osimage adds an image and publishes a release of four small files: nobody packs here.
func (h *hall) osimage() {
	h.Helper()
	conn, err := h.head.Connect("operator")
	must(h.T, err)
	defer conn.Close()
	msg, err := conn.RequestWithContext(h.ctx, "luna.cmd.inventory.osimage.add", []byte(`{"name":"compute","path":"/opt/luna/os/compute","head":"head"}`))
	must(h.T, err)
	var reply struct {
		Objects []struct{ Osimage struct{ ID string } }
	}
	must(h.T, json.Unmarshal(msg.Data, &reply))
	must(h.T, h.head.Release(h.ctx, reply.Objects[0].Osimage.ID))
}

func nodeMAC(i int) net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, byte(i + 1)} }

func (h *hall) luna(args ...string) {
	h.Helper()
	for { // until the services are there
		_, err := h.head.Luna(h.ctx, args...)
		if err == nil {
			return
		}
		if h.ctx.Err() != nil || !strings.Contains(err.Error(), "not done") {
			h.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// stream returns a stream of the bus.
func (h *hall) stream(name string) jetstream.Stream {
	h.Helper()
	conn, err := h.head.Connect("operator")
	must(h.T, err)
	h.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	must(h.T, err)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) { // the server may be about to start
		s, err := js.Stream(h.ctx, name)
		if err == nil {
			return s
		}
		if time.Now().After(end) {
			h.Fatal(err)
		}
	}
}

func (h *hall) revision() uint64 {
	h.Helper()
	return h.stream("INVENTORY").CachedInfo().State.LastSeq
}

// named waits until the names are those of a revision or a later one, which is the zone's serial: a state that shows it
// is read for the zone a moment later.
func (h *hall) named(revision uint64) {
	h.Helper()
	limited, cancel := context.WithTimeout(h.ctx, time.Minute)
	defer cancel()
	for {
		out, err := h.client.Command(limited, "dig", "@"+hallHead, "+short", "cluster", "SOA").Output()
		if f := strings.Fields(string(out)); err == nil && len(f) > 2 {
			if serial, err := strconv.ParseUint(f[2], 10, 64); err == nil && serial >= revision {
				return
			}
		}
		select {
		case <-limited.Done():
			h.Fatalf("the zone does not come to serial %d: %s, %v", revision, out, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// answers is what the head says to those outside, by question.
func (h *hall) answers() map[string]string {
	h.Helper()
	h.named(h.revision())
	all := map[string]string{"boot": h.script("step=boot")}
	var names strings.Builder
	for i := range hallNodes {
		mac := nodeMAC(i)
		fmt.Fprintf(&names, "node%03d.cluster A\n-x 10.30.0.%d\n", i+1, i+1)
		all["offer "+mac.String()] = h.offer(mac)
		all["discovery "+mac.String()] = h.script("step=discovery&hwdata=PC|" + mac.String())
		all["install "+mac.String()] = h.script(fmt.Sprintf("step=install&node=node%03d", i+1))
	}
	names.WriteString("head.cluster A\n-x 10.30.255.254\nnode999.cluster A\ncluster SOA\n")
	file := filepath.Join(h.dir, "names")
	must(h.T, os.WriteFile(file, []byte(names.String()), 0o644))
	out, err := h.client.Command(h.ctx, "dig", "@"+hallHead, "+noall", "+answer", "+authority", "-f", file).Output()
	must(h.T, err)
	if n := strings.Count(string(out), "\n"); n < 2*hallNodes+2 {
		h.Fatalf("dig got %d answers:\n%s", n, out)
	}
	all["names"] = string(out)
	return all
}

var (
	bootID    = regexp.MustCompile(`luna\.boot=(\w+)`)
	changing  = regexp.MustCompile(`luna\.(boot|time)=\w+`)
	lastError = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
)

// script fetches one and leaves out what is another one each time.
func (h *hall) script(query string) string {
	h.Helper()
	text, err := h.get(query)
	must(h.T, err)
	return lastError.ReplaceAllString(changing.ReplaceAllString(text, "luna.$1=X"), "TIME")
}

func (h *hall) get(query string) (string, error) {
	resp, err := h.web.Get("http://" + hallHead + ":7050/luna?" + query)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, body), err
}

// offer asks for an address and returns the whole answer.
func (h *hall) offer(mac net.HardwareAddr) string {
	h.Helper()
	var packet []byte
	err := h.dhcp(mac, func(c *nclient4.Client) error {
		offer, err := c.DiscoverOffer(h.ctx, dhcpv4.WithBroadcast(true), dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, mac[5]}))
		if err == nil {
			packet = offer.ToBytes()
		}
		return err
	})
	must(h.T, err)
	return fmt.Sprintf("%x", packet)
}

func (h *hall) dhcp(mac net.HardwareAddr, do func(*nclient4.Client) error) error {
	var c *nclient4.Client
	err := h.client.Do(func() (err error) {
		c, err = nclient4.New("eth0", nclient4.WithHWAddr(mac), nclient4.WithTimeout(time.Second), nclient4.WithRetry(8))
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// load is what goes on while services die: changes, boots and strangers.
func (h *hall) load(ctx context.Context, rnd *rand.Rand, round int) (wait func()) {
	node, stranger := rnd.IntN(hallNodes), net.HardwareAddr{0x02, 0, 0xee, byte(round >> 8), byte(round), 1}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			name := fmt.Sprintf("node%03d", (node+i)%hallNodes+1)
			// What is refused now is refused; what is done stands in the stream.
			_, _ = h.head.Luna(ctx, "node", "change", name, "--comment="+fmt.Sprintf("%d.%d", round, i))
			_, _ = h.head.Luna(ctx, "node", "add", "-n", "spare", "-g", "compute")
			_, _ = h.head.Luna(ctx, "node", "delete", "spare")
		}
	})
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			text, err := h.get("step=discovery&hwdata=PC|" + nodeMAC((node+i)%hallNodes).String())
			if id := bootID.FindStringSubmatch(text); err == nil && id != nil {
				h.mu.Lock()
				h.boots[id[1]] = true
				h.mu.Unlock()
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	wg.Go(func() {
		err := h.dhcp(stranger, func(c *nclient4.Client) error {
			lease, err := c.Request(ctx, dhcpv4.WithBroadcast(true))
			if err == nil {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.strangers[stranger.String()] = lease.ACK.YourIPAddr.String()
			}
			return err
		})
		if err != nil && ctx.Err() == nil {
			h.Errorf("stranger %s got no address: %v", stranger, err)
		}
	})
	return wg.Wait
}

// hurt does to a dead service's state what disks and people do.
func (h *hall) hurt(rnd *rand.Rand, name string) (what string) {
	path := h.head.Data(name, "state.db")
	file, err := os.ReadFile(path)
	if err != nil {
		return "none"
	}
	switch rnd.IntN(7) {
	case 0:
		return "kept"
	case 1:
		must(h.T, os.Remove(path))
		return "deleted"
	case 2:
		what, file = "emptied", file[:0]
	case 3:
		what, file = "cut at half", file[:len(file)/2]
	case 4:
		what = "random page"
		at := rnd.IntN(max(len(file)/4096, 1)) * 4096
		garble(rnd, file[at:min(at+4096, len(file))])
	case 5:
		what = "300 bytes"
		at := rnd.IntN(max(len(file)-300, 1))
		garble(rnd, file[at:min(at+300, len(file))])
	case 6:
		other := victims[1+rnd.IntN(len(victims)-1)]
		what = "that of " + other
		if file, err = os.ReadFile(h.head.Data(other, "state.db")); err != nil {
			return "kept"
		}
	}
	must(h.T, os.WriteFile(path, file, 0o600))
	return what
}

func garble(rnd *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
}

// TestKilledServicesAnswerAsFreshOnes kills services at random under load,
// damages what they kept, and compares what they say with what they say after
// they were built anew from the bus.
func TestKilledServicesAnswerAsFreshOnes(t *testing.T) {
	t.Parallel()
	rounds := testenv.Times(t, 20)
	ctx := limit(t, time.Duration(rounds)*30*time.Second+2*time.Minute)
	rnd := testenv.Rand(t)
	h := newHall(t, ctx)
	for round := range rounds {
		h.round(rnd, round)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	h.nothingIsLost()
	t.Logf("%d rounds, %d boots, %d strangers", rounds, len(h.boots), len(h.strangers))
}

func (h *hall) round(rnd *rand.Rand, round int) {
	h.Helper()
	var killed []string
	for _, name := range victims {
		if rnd.IntN(2) == 0 {
			killed = append(killed, name)
		}
	}
	ctx, stop := context.WithCancel(h.ctx)
	defer stop()
	wait := h.load(ctx, rnd, round)
	time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
	must(h.T, h.head.Kill(killed...))
	var story []string
	for _, name := range killed {
		if name != fleet.NATS {
			story = append(story, name+" "+h.hurt(rnd, name))
		} else {
			story = append(story, name)
		}
	}
	time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
	must(h.T, h.head.Start(killed...))
	time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
	stop()
	wait()
	h.Logf("round %d: %s", round, strings.Join(story, ", "))
	limited, cancel := context.WithTimeout(h.ctx, time.Minute)
	defer cancel()
	// A command whose sender was gone may still be done a moment later: then both answers are asked for again.
	for at := uint64(0); at != h.revision() && !h.Failed(); {
		at = h.revision()
		h.compare(limited, func() bool { return h.revision() == at })
	}
	if names := h.head.Crashed(); len(names) > 0 {
		h.Errorf("crashed: %q", names)
	}
}

// compare asks the head as it is and with states that are built anew; the answers must be the same, if they still
// count.
func (h *hall) compare(limited context.Context, count func() bool) {
	h.Helper()
	must(h.T, h.head.WaitReady(limited, h.revision(), victims[1:]...))
	after := h.answers()
	fresh := []string{"dhcp", "dns", "bootscript"}
	must(h.T, h.head.Kill(fresh...))
	for _, name := range fresh {
		must(h.T, os.Remove(h.head.Data(name, "state.db")))
	}
	must(h.T, h.head.Start(fresh...))
	must(h.T, h.head.WaitReady(limited, h.revision(), victims[1:]...))
	anew := h.answers()
	if !count() {
		return
	}
	for _, question := range slices.Sorted(maps.Keys(anew)) {
		if after[question] != anew[question] {
			h.Errorf("%s:\n%s\nbuilt anew:\n%s", question, after[question], anew[question])
		}
	}
}

// nothingIsLost looks for what the head has told nodes and strangers in the streams.
func (h *hall) nothingIsLost() {
	h.Helper()
	for {
		missing := h.missing()
		if len(missing) == 0 {
			return
		}
		select {
		case <-h.ctx.Done():
			h.Fatalf("%d are not in the streams: %q", len(missing), missing[:min(len(missing), 10)])
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (h *hall) missing() (missing []string) {
	h.Helper()
	boots := h.stream("BOOTS")
	info, err := boots.Info(h.ctx, jetstream.WithSubjectFilter(">"))
	must(h.T, err)
	steps := map[string]map[string]int{} // boot → name of a step → how often
	for s := range info.State.Subjects {
		id := strings.Split(s, ".")[4]
		if !h.boots[id] {
			continue
		}
		msg, err := boots.GetLastMsgForSubject(h.ctx, s)
		must(h.T, err)
		var step struct{ Report struct{ Name string } }
		must(h.T, json.Unmarshal(msg.Data, &step))
		if steps[id] == nil {
			steps[id] = map[string]int{}
		}
		steps[id][step.Report.Name]++
	}
	for id := range h.boots {
		// A boot begins once; a machine may ask for it again and again.
		if steps[id]["boot.request"] == 0 || steps[id]["boot.discovery"] == 0 {
			missing = append(missing, "boot "+id)
		}
		if n := steps[id]["boot.request"]; n > 1 {
			h.Errorf("boot %s began %d times", id, n)
		}
	}
	leases := h.stream("SEEN")
	holders := map[string]string{}
	for mac, address := range h.strangers {
		msg, err := leases.GetLastMsgForSubject(h.ctx, "luna.evt.dhcp.lease."+strings.ReplaceAll(mac, ":", ""))
		if err != nil || !strings.Contains(string(msg.Data), `"`+address+`"`) {
			missing = append(missing, "lease "+mac+" "+address)
		}
		if other := holders[address]; other != "" {
			h.Errorf("%s and %s have %s", mac, other, address)
		}
		holders[address] = mac
	}
	return missing
}
