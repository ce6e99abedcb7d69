package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// NetOptions say how to measure what nodes ask over the network.
type NetOptions struct {
	// Nodes is how many nodes there are.
	Nodes int
	// Repeats is how often each server is measured; ours and the other one take turns.
	Repeats int
	// Trial is how long one run of a measuring program lasts.
	Trial time.Duration
	// Only names what is measured: DHCP, DNS, HTTP; nothing is all.
	Only []string
	// Bin is the directory of Luna's programs, Deploy that of the configuration that comes with them.
	Bin, Deploy string
	// Out gets the table, Log what is going on.
	Out, Log io.Writer
}

// contender is a server that is measured, in the head's namespace.
type contender struct {
	name string
	// start returns the process group of the server once that answers.
	start func(ctx context.Context) (group int, err error)
	stop  func() error
}

// score is what one contender did in one run.
type score struct {
	rate float64 // answers, or exchanges, a second
	lost float64 // share of questions without an answer
	busy float64 // processors that the server kept busy
}

// match is one kind of questions, and the servers that are asked.
type match struct {
	what       string
	contenders [2]contender // ours first
	// goal is a rate that ours must have; 0 is that of the other one.
	goal float64
	// check asks for what every node must get, as nodes do.
	check func(ctx context.Context) error
	// run measures whatever server runs; hint is the best rate of that server so far.
	run func(ctx context.Context, hint float64, group int) (score, error)

	scores [2][]score
}

// tools are what others' servers and the measuring programs are called, with the argument that shows their versions.
var tools = [][]string{{"kea-dhcp4", "-v"}, {"perfdhcp", "-v"}, {"named", "-v"}, {"dnsperf", "-h"}, {"nginx", "-v"}, {"wrk", "-v"}}

// Net measures DHCP exchanges, DNS answers and boot scripts a second of a head beside Kea, BIND and nginx, which have
// the same nodes. An error means that a program is missing or an answer is wrong; to be slow is none.
func Net(ctx context.Context, opt NetOptions) (err error) {
	if err := versions(ctx, opt.Out); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "luna-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := open(ctx, Options{Groups: 20, Versions: 1, Bin: opt.Bin, Deploy: opt.Deploy, Out: opt.Out, Log: opt.Log}, opt.Nodes, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	n := &network{site: s, opt: opt, told: map[string]bool{}, load: firstLine("/proc/loadavg")}
	if err := n.prepare(ctx); err != nil {
		return err
	}
	matches, err := n.matches()
	if err != nil {
		return err
	}
	for _, m := range matches {
		for range opt.Repeats {
			for side := range m.contenders {
				if err := n.measure(ctx, m, side); err != nil {
					return errors.Join(fmt.Errorf("%s, %s: %w", m.what, m.contenders[side].name, err), n.report(matches))
				}
			}
		}
	}
	return n.report(matches)
}

// versions says with what is measured.
func versions(ctx context.Context, out io.Writer) error {
	for _, t := range tools {
		path, err := exec.LookPath(t[0])
		if err != nil {
			return fmt.Errorf("%s is missing: run deploy/room/install-packages.sh bench", t[0])
		}
		said, _ := exec.CommandContext(ctx, path, t[1:]...).CombinedOutput() // some call it a failure
		line := ""
		for l := range strings.Lines(string(said)) {
			if line == "" || strings.HasPrefix(l, "Version") {
				line = strings.TrimSpace(l)
			}
		}
		fmt.Fprintf(out, "%s: %s\n", t[0], line)
	}
	return nil
}

// network is a site whose servers are replaced by others.
type network struct {
	*site
	opt       NetOptions
	addresses []string // of the nodes
	script    string   // the first one that ours gave
	load      string   // of the machine at the beginning
	told      map[string]bool
}

// prepare makes the cluster.
func (n *network) prepare(ctx context.Context) error {
	if err := n.describe(ctx, nil); err != nil {
		return err
	}
	for _, name := range n.names {
		i := len(n.addresses)
		a := n.addressOf(ctx, i)
		if a == "" {
			return fmt.Errorf("%s has no address", name)
		}
		n.addresses = append(n.addresses, a)
	}
	return nil
}

// matches are those that were asked for.
func (n *network) matches() ([]*match, error) {
	all := []*match{n.dhcp(), n.dns(), n.http()}
	if len(n.opt.Only) == 0 {
		return all, nil
	}
	for _, word := range n.opt.Only {
		if !slices.ContainsFunc(all, func(m *match) bool { return m.what == word }) {
			return nil, fmt.Errorf("%q is not measured: DHCP, DNS and HTTP are", word)
		}
	}
	return slices.DeleteFunc(all, func(m *match) bool { return !slices.Contains(n.opt.Only, m.what) }), nil
}

// measure starts a server, looks whether it answers rightly, measures and stops it.
func (n *network) measure(ctx context.Context, m *match, side int) (err error) {
	c := m.contenders[side]
	group, err := c.start(ctx)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer func() {
		if stopped := c.stop(); err != nil || stopped != nil {
			err = errors.Join(err, stopped, n.said(c.name))
		}
	}()
	if err := m.check(ctx); err != nil {
		return fmt.Errorf("before measuring: %w", err)
	}
	hint := 0.0
	for _, s := range m.scores[side] {
		hint = max(hint, s.rate)
	}
	s, err := m.run(ctx, hint, group)
	if err != nil {
		return err
	}
	m.scores[side] = append(m.scores[side], s)
	fmt.Fprintf(n.opt.Log, "%s, %s: %.0f a second, %.2f %% lost, %.2f processors\n", m.what, c.name, s.rate, 100*s.lost, s.busy)
	return m.check(ctx)
}

// ours is a service of the head as a contender.
func (n *network) ours(name string) contender {
	return contender{name: "luna-" + name, stop: func() error { return n.head.Kill(name) }, start: func(ctx context.Context) (int, error) {
		if err := n.head.Start(name); err != nil {
			return 0, err
		}
		return n.head.Process(name), n.ready(ctx, name)
	}}
}

// rival is somebody else's server. The program runs from the run's folder: profiles of AppArmor, which go by its
// path, would keep it from its configuration there.
func (n *network) rival(name string, configure func(dir string) ([]string, error)) contender {
	var d *daemon
	return contender{name: name, stop: func() error { return d.stop() }, start: func(ctx context.Context) (int, error) {
		path, err := exec.LookPath(name)
		if err != nil {
			return 0, err
		}
		dir := filepath.Join(n.dir, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return 0, err
		}
		program, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		own := filepath.Join(dir, name)
		if err := os.WriteFile(own, program, 0o755); err != nil {
			return 0, err
		}
		args, err := configure(dir)
		if err != nil {
			return 0, err
		}
		n.tell(append([]string{own}, args...))
		cmd := n.room.Command(context.Background(), own, args...)
		cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
		d, err = launch(cmd, filepath.Join(dir, "log"))
		if err != nil {
			return 0, err
		}
		return d.group(), nil
	}}
}

// said is the end of what a server has written.
func (n *network) said(name string) error {
	for _, file := range []string{filepath.Join(n.dir, name, "log"), filepath.Join(n.dir, strings.TrimPrefix(name, "luna-")+".log")} {
		if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
			return fmt.Errorf("%s said: %s", name, text[max(0, len(text)-2000):])
		}
	}
	return nil
}

// tell says how a program is called, the first time.
func (n *network) tell(args []string) {
	if !n.told[args[0]] {
		n.told[args[0]] = true
		fmt.Fprintf(n.opt.Out, "$ %s\n", strings.ReplaceAll(strings.Join(args, " "), n.dir, "$DIR"))
	}
}

// client runs a measuring program on the client.
func (n *network) client(ctx context.Context, name string, args ...string) (string, error) {
	n.tell(append([]string{name}, args...))
	ctx, cancel := context.WithTimeout(ctx, n.opt.Trial+time.Minute)
	defer cancel()
	out, err := n.site.client.Command(ctx, name, args...).CombinedOutput()
	return string(out), err
}
