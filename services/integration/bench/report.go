package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	pretty "github.com/jedib0t/go-pretty/v6/table"
)

// table holds what was measured.
type table struct {
	opt     Options
	load    string
	figures []string
	goals   map[string]time.Duration
	columns []*column
}

// column is what was measured with one number of nodes.
type column struct {
	table *table
	nodes int
	mu    sync.Mutex
	times map[string][]time.Duration
}

func newTable(opt Options) *table {
	return &table{opt: opt, goals: map[string]time.Duration{}, load: firstLine("/proc/loadavg")}
}

// column returns the one for a number of nodes.
func (t *table) column(nodes int) *column {
	i := slices.IndexFunc(t.columns, func(c *column) bool { return c.nodes == nodes })
	if i < 0 {
		t.columns = append(t.columns, &column{table: t, nodes: nodes, times: map[string][]time.Duration{}})
		i = len(t.columns) - 1
	}
	return t.columns[i]
}

// add notes one measured time of a figure; a goal of 0 is none.
func (c *column) add(figure string, goal, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.table.figures, figure) {
		c.table.figures = append(c.table.figures, figure)
	}
	c.table.goals[figure] = goal
	c.times[figure] = append(c.times[figure], took)
}

// share returns the time that a share of all was not longer than: the p99 of few is the longest.
func share(times []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}

// write writes what was measured, where and how.
func (t *table) write(out io.Writer) error {
	if len(t.figures) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\n%s\n\n", t.machine())
	w := pretty.NewWriter()
	w.SetStyle(pretty.StyleLight)
	head := pretty.Row{"milliseconds: median / p99 (number)"}
	for _, c := range t.columns {
		head = append(head, fmt.Sprintf("%d nodes", c.nodes))
	}
	w.AppendHeader(append(head, "goal", fmt.Sprintf("at %d", t.columns[len(t.columns)-1].nodes)))
	for _, f := range t.figures {
		w.AppendRow(t.row(f))
	}
	_, err := fmt.Fprintln(out, w.Render())
	return err
}

// row is one figure; the p99 of the last column is compared with the goal.
func (t *table) row(figure string) pretty.Row {
	row := pretty.Row{figure}
	for _, c := range t.columns {
		cell := ""
		if all := c.times[figure]; len(all) > 0 {
			cell = fmt.Sprintf("%s / %s (%d)", milliseconds(share(all, 50)), milliseconds(share(all, 99)), len(all))
		}
		row = append(row, cell)
	}
	goal, all := t.goals[figure], t.columns[len(t.columns)-1].times[figure]
	switch {
	case goal == 0 || len(all) == 0:
		return append(row, "", "")
	case share(all, 99) <= goal:
		return append(row, "≤ "+milliseconds(goal), "met")
	}
	return append(row, "≤ "+milliseconds(goal), "missed")
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.0f", d.Seconds()*1000)
}

// machine tells where the figures are from, and how.
func (t *table) machine() string {
	return machine(t.load) + fmt.Sprintf("\nevery object in %d versions, %d groups; NATS as in deploy/nats/nats.conf, all services as processes, "+
		"clients in a namespace of their own", t.opt.Versions, t.opt.Groups)
}

// machine tells what machine this is, and what else it had to do.
func machine(load string) string {
	kernel, _ := exec.Command("uname", "-sr").Output() // a description may have holes
	disk, _ := exec.Command("df", "--output=fstype", os.TempDir()).Output()
	return fmt.Sprintf("%s, %d processors, %s; %s, %s on %s; %s\nload before: %s; after: %s",
		value("/proc/cpuinfo", "model name"), runtime.NumCPU(), value("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(kernel)),
		strings.TrimSpace(strings.TrimPrefix(string(disk), "Type")), os.TempDir(), runtime.Version(),
		load, firstLine("/proc/loadavg"))
}

// value returns that of a key in a file of /proc.
func value(path, key string) string {
	f, err := os.Open(path)
	if err != nil {
		return "?"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "?"
}

func firstLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "?"
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}
