package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// bearable is the share of exchanges that may stay without an end at a rate that counts.
const bearable = 0.01

// dhcp lets perfdhcp have whole exchanges, as a relay, for random nodes.
func (n *network) dhcp() *match {
	return &match{what: "DHCP", contenders: [2]contender{n.ours("dhcp"), n.rival("kea-dhcp4", n.kea)}, check: n.checkDHCP, run: n.exchanges}
}

// checkDHCP asks for a few nodes' addresses, as they do.
func (n *network) checkDHCP(ctx context.Context) error {
	for _, i := range n.some() {
		p, err := n.newProbes(macOf(i))
		if err != nil {
			return err
		}
		err = until(ctx, breath, func() error { return p.offer(ctx, n.addresses[i]) })
		p.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// some are nodes from all over the cluster.
func (n *network) some() []int { return []int{0, 1, n.nodes / 2, n.nodes - 1} }

// exchanges finds the highest rate of exchanges at which hardly any is lost.
func (n *network) exchanges(ctx context.Context, hint float64, group int) (best score, err error) {
	macs := filepath.Join(n.dir, "macs")
	if err := os.WriteFile(macs, []byte(n.lines(func(i int) string { return macOf(i).String() })), 0o644); err != nil {
		return best, err
	}
	low, high := 0.0, 0.0 // a rate that went well, one that did not
	for try, rate := 0, max(500, hint*0.9); try < 20 && rate >= 10 && (high == 0 || high-low > high/20); try++ {
		s, err := n.exchange(ctx, int(rate), macs, group)
		if err != nil {
			return best, err
		}
		fmt.Fprintf(n.opt.Log, "  %.0f exchanges a second of %.0f, %.2f %% lost, %.2f processors\n", s.rate, rate, 100*s.lost, s.busy)
		if s.lost <= bearable && s.rate >= 0.95*rate {
			low, best = rate, s
		} else {
			high = rate
		}
		if rate = (low + high) / 2; high == 0 {
			rate = low * 1.5
		}
	}
	if best.rate == 0 {
		return best, errors.New("no rate went well")
	}
	return best, nil
}

var (
	sentPackets = regexp.MustCompile(`(?m)^sent packets: (\d+)`)
	gotPackets  = regexp.MustCompile(`(?m)^received packets: (\d+)`)
	rejected    = regexp.MustCompile(`(?m)^rejected leases: (\d+)`)
)

// exchange has exchanges at one rate.
func (n *network) exchange(ctx context.Context, rate int, macs string, group int) (score, error) {
	c := startClock(group)
	out, err := n.client(ctx, "perfdhcp", "-4", "-l", "eth0", "-M", macs, "-R", strconv.Itoa(n.nodes), "-r", strconv.Itoa(rate),
		"-p", fmt.Sprint(int(n.opt.Trial.Seconds())), "-W", "500000", headAddress)
	busy := c.busy()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) { // 3: some were lost
		return score{}, fmt.Errorf("perfdhcp: %w: %s", err, out)
	}
	got, sent := numbers(gotPackets, out), numbers(sentPackets, out)
	if len(got) != 2 || len(sent) != 2 || sent[0] == 0 { // of DISCOVER and OFFER, of REQUEST and ACK
		return score{}, fmt.Errorf("perfdhcp says nothing of its exchanges: %s", out)
	}
	for _, no := range numbers(rejected, out) {
		if no > 0 {
			return score{}, fmt.Errorf("%.0f leases were refused: %s", no, out)
		}
	}
	// Its own rate counts the time that it waits for the last ones.
	return score{rate: got[1] / n.opt.Trial.Truncate(time.Second).Seconds(), lost: max(0, 1-got[1]/sent[0]), busy: busy}, nil
}

// numbers are all that an expression's group finds.
func numbers(re *regexp.Regexp, text string) (all []float64) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		f, err := strconv.ParseFloat(m[1], 64)
		if err == nil {
			all = append(all, f)
		}
	}
	return all
}

// lines writes one line a node.
func (n *network) lines(of func(i int) string) string {
	var b strings.Builder
	for i := range n.nodes {
		b.WriteString(of(i) + "\n")
	}
	return b.String()
}

// kea configures Kea with a reservation for every node, to answer machines without an address too. It keeps its leases in memory alone, which is quickest.
func (n *network) kea(dir string) ([]string, error) {
	type object = map[string]any
	var nodes []object
	for i := range n.nodes {
		nodes = append(nodes, object{"hw-address": macOf(i).String(), "ip-address": n.addresses[i], "hostname": n.names[i]})
	}
	conf := object{"Dhcp4": object{
		"interfaces-config":            object{"interfaces": []string{room.Bridge}, "dhcp-socket-type": "raw"},
		"lease-database":               object{"type": "memfile", "persist": false},
		"multi-threading":              object{"enable-multi-threading": true, "thread-pool-size": runtime.NumCPU()},
		"host-reservation-identifiers": []string{"hw-address"},
		"reservations-out-of-pool":     true,
		"valid-lifetime":               int((2 * time.Hour).Seconds()),
		"next-server":                  headAddress,
		"boot-file-name":               "undionly.kpxe",
		"option-data": []object{{"name": "routers", "data": headAddress}, {"name": "domain-name-servers", "data": headAddress},
			{"name": "domain-name", "data": "cluster"}},
		"subnet4": []object{{"id": 1, "subnet": "10.30.0.0/16", "pools": []object{{"pool": "10.30.128.1 - 10.30.140.255"}}, "reservations": nodes}},
		"loggers": []object{{"name": "kea-dhcp4", "severity": "WARN", "output_options": []object{{"output": "stderr"}}}},
	}}
	data, err := json.Marshal(conf)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "kea.json")
	return []string{"-c", file}, os.WriteFile(file, data, 0o644)
}
