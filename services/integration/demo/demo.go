// Package demo shows the main job: a room in which blank machines become nodes.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/sync/errgroup"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/integration/lab"
	"github.com/luna-hpc/luna/services/integration/room"
)

// Options says what to show.
type Options struct {
	// Nodes is how many machines boot: the first with a BIOS, the second with UEFI, and so on in turn.
	Nodes int
	// Bin is the directory of Luna's programs.
	Bin string
	// Limit is how long all may take.
	Limit time.Duration
	Out   io.Writer
}

// node is a machine and what is known of its boot.
type node struct {
	machine *room.Machine
	address string
	started time.Time
	up      time.Duration
	steps   []*bootscriptv1.Step
}

// Run shows the demo; it fails when a node does not answer ssh. Logs stay in
// the folder that it names.
func Run(ctx context.Context, opt Options) (err error) {
	dir, err := os.MkdirTemp("", "luna-demo-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	fmt.Fprintln(opt.Out, "logs and consoles:", dir)
	ctx, cancel := context.WithTimeout(ctx, opt.Limit)
	defer cancel()
	log, err := os.Create(filepath.Join(dir, "demo.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintln(opt.Out, "making the image and the room (the first time takes minutes)")
	l, err := lab.Open(ctx, lab.Options{Dir: dir, Bin: opt.Bin, Log: slog.New(slog.NewTextHandler(log, nil)), Said: func(command, answer string) {
		fmt.Fprintf(opt.Out, "# %s\n%s", command, indent(answer))
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close(), removeData(l.Data())) }()
	if err := l.StartHead(ctx); err != nil {
		return err
	}
	if err := l.Describe(ctx); err != nil {
		return err
	}
	nodes, err := addNodes(ctx, l, opt.Nodes)
	if err != nil {
		return err
	}
	bootErr := bootAll(ctx, l, nodes, opt.Out)
	report(opt.Out, nodes)
	return errors.Join(bootErr, l.StopHead())
}

// removeData takes away what is big: the head's own data; logs and consoles stay.
func removeData(dir string) error { return os.RemoveAll(dir) }

func indent(text string) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
}

func addNodes(ctx context.Context, l *lab.Lab, n int) ([]*node, error) {
	var nodes []*node
	for i := range n {
		m, err := l.AddNode(ctx, []room.Firmware{room.BIOS, room.UEFI}[i%2])
		if err != nil {
			return nil, err
		}
		address, err := l.Address(ctx, m.Name)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, &node{machine: m, address: address})
	}
	return nodes, nil
}

// bootAll switches all machines on and waits until each answers ssh.
func bootAll(ctx context.Context, l *lab.Lab, nodes []*node, out io.Writer) error {
	watch, stop := context.WithCancel(ctx)
	var watchers, boots errgroup.Group
	lines := make(chan string, 64)
	for _, n := range nodes {
		n.started = time.Now()
		if err := n.machine.Start(ctx); err != nil {
			stop()
			return err
		}
		watchers.Go(func() error { n.watch(watch, l, lines); return nil })
		boots.Go(func() error { return n.wait(ctx, l) })
	}
	done := make(chan error, 1)
	go func() {
		err := boots.Wait()
		stop()
		_ = watchers.Wait() // watchers return nothing
		close(lines)
		done <- err
	}()
	for line := range lines {
		fmt.Fprintln(out, line)
	}
	return <-done
}

func (n *node) wait(ctx context.Context, l *lab.Lab) error {
	if err := l.WaitUp(ctx, n.address); err != nil {
		return fmt.Errorf("%s: %w", n.machine.Name, err)
	}
	n.up = time.Since(n.started)
	return nil
}

// watch tells new steps until ctx ends, and keeps them.
func (n *node) watch(ctx context.Context, l *lab.Lab, lines chan<- string) {
	for last := false; ; {
		ask := ctx
		if last {
			ask = context.WithoutCancel(ctx)
		}
		if rep, err := l.Steps(ask, n.machine.Name); err == nil {
			for _, s := range rep.Steps[min(len(n.steps), len(rep.Steps)):] {
				lines <- fmt.Sprintf("%6.1f s  %s  %-20s %s", time.Since(n.started).Seconds(), n.machine.Name, s.Report.GetName(), stateText(s.Report))
			}
			n.steps = rep.Steps
		}
		if last {
			return
		}
		select {
		case <-ctx.Done():
			last = true
		case <-time.After(time.Second):
		}
	}
}

func stateText(r *bootscriptv1.Report) string {
	s := strings.ToLower(strings.TrimPrefix(r.GetState().String(), "STATE_"))
	if r.GetError() != "" {
		s += ": " + r.GetError()
	}
	return s
}

// shown are the steps with a column of their own.
var shown = []string{"install.prescript", "install.partscript", "install.download", "install.unpack", "install.setnet", "install.postscript"}

// report prints what each node did.
func report(out io.Writer, nodes []*node) {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	header := table.Row{"node", "firmware", "address", "image", "to agent"}
	for _, s := range shown {
		header = append(header, strings.TrimPrefix(s, "install."))
	}
	t.AppendHeader(append(header, "to ssh", "from head", "from nodes"))
	for _, n := range nodes {
		t.AppendRow(n.row())
	}
	t.Render()
}

func (n *node) row() table.Row {
	image, agent := "-", "-"
	seconds := map[string]string{}
	values := map[string]string{}
	for _, s := range n.steps {
		if s.Osimage != "" {
			image = s.Osimage
		}
		r := s.Report
		if at, err := time.Parse(time.RFC3339Nano, s.Time); err == nil && r.GetName() == "agent.start" {
			agent = fmt.Sprintf("%.0f s", at.Sub(n.started).Seconds())
		}
		if r.GetState() == bootscriptv1.State_STATE_OK {
			seconds[r.GetName()] = fmt.Sprintf("%.1f s", r.GetSeconds())
			for k, v := range r.Values {
				values[k] = v
			}
		}
	}
	row := table.Row{n.machine.Name, n.machine.Firmware, n.address, image, agent}
	for _, s := range shown {
		row = append(row, orDash(seconds[s]))
	}
	up := "never"
	if n.up > 0 {
		up = fmt.Sprintf("%.0f s", n.up.Seconds())
	}
	return append(row, up, megabytes(values["bytes_from_head"]), megabytes(values["bytes_from_peers"]))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func megabytes(s string) string {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return "-"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
