package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// dns lets dnsperf ask for the addresses and the names of all nodes.
func (n *network) dns() *match {
	return &match{what: "DNS", contenders: [2]contender{n.ours("dns"), n.rival("named", n.named)}, check: n.checkDNS, run: n.queries}
}

func (n *network) checkDNS(ctx context.Context) error {
	p, err := n.newProbes(macOf(0))
	if err != nil {
		return err
	}
	defer p.close()
	for _, i := range n.some() {
		if err := until(ctx, breath, func() error { return p.name(n.names[i]+".cluster", n.addresses[i]) }); err != nil {
			return err
		}
	}
	return nil
}

var (
	queriesSent = regexp.MustCompile(`(?m)^\s*Queries sent:\s+(\d+)`)
	queriesLost = regexp.MustCompile(`(?m)^\s*Queries lost:\s+(\d+)`)
	queriesRate = regexp.MustCompile(`(?m)^\s*Queries per second:\s+([0-9.]+)`)
	queryCodes  = regexp.MustCompile(`(?m)^\s*Response codes:\s+(.*)$`)
)

// queries asks as fast as answers come, with a hundred questions under way.
func (n *network) queries(ctx context.Context, _ float64, group int) (score, error) {
	file := filepath.Join(n.dir, "queries")
	text := n.lines(func(i int) string {
		i = i * 7919 % n.nodes // not in the order of the zone; a prime reaches all of fewer
		return n.names[i] + ".cluster A\n" + reverse(n.addresses[i]) + " PTR"
	})
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return score{}, err
	}
	c := startClock(group)
	out, err := n.client(ctx, "dnsperf", "-s", headAddress, "-d", file, "-c", "4", "-q", "100", "-t", "1", "-l", fmt.Sprint(int(n.opt.Trial.Seconds())))
	busy := c.busy()
	if err != nil {
		return score{}, fmt.Errorf("dnsperf: %w: %s", err, out)
	}
	sent, lost, rate, codes := numbers(queriesSent, out), numbers(queriesLost, out), numbers(queriesRate, out), queryCodes.FindStringSubmatch(out)
	if len(sent) != 1 || len(lost) != 1 || len(rate) != 1 || sent[0] == 0 || codes == nil {
		return score{}, fmt.Errorf("dnsperf says nothing of its queries: %s", out)
	}
	if !strings.HasPrefix(codes[1], "NOERROR") || strings.Contains(codes[1], ",") {
		return score{}, fmt.Errorf("some answers are wrong: %s", codes[1])
	}
	s := score{rate: rate[0], lost: lost[0] / sent[0], busy: busy}
	if s.lost > bearable {
		return s, fmt.Errorf("%.0f of %.0f queries were lost", lost[0], sent[0])
	}
	return s, nil
}

// reverse is the name of an IPv4 address.
func reverse(address string) string {
	p := strings.Split(address, ".")
	return p[3] + "." + p[2] + "." + p[1] + "." + p[0] + ".in-addr.arpa"
}

// named configures BIND with the nodes' zones; it answers with as little as the head does.
func (n *network) named(dir string) ([]string, error) {
	const begin = "$TTL 60\n@ IN SOA head.cluster. root.cluster. 1 3600 600 86400 10\n@ IN NS head.cluster.\n"
	conf := fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile none; lock-file none; managed-keys-directory %q;
	listen-on { %s; }; listen-on-v6 { none; }; recursion no; minimal-responses yes; dnssec-validation no; querylog no; };
controls { };
zone "cluster" { type primary; file "cluster"; };
zone "30.10.in-addr.arpa" { type primary; file "reverse"; };
`, dir, dir, headAddress)
	for name, text := range map[string]string{
		"named.conf": conf,
		"cluster":    begin + "head IN A " + headAddress + "\n" + n.lines(func(i int) string { return n.names[i] + " IN A " + n.addresses[i] }),
		"reverse":    begin + n.lines(func(i int) string { return reverse(n.addresses[i]) + ". IN PTR " + n.names[i] + ".cluster." }),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return []string{"-f", "-c", filepath.Join(dir, "named.conf")}, nil
}
