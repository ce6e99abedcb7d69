package bench

import (
	"fmt"
	"slices"
	"strings"

	pretty "github.com/jedib0t/go-pretty/v6/table"
)

// comparison holds what was measured of ways to spread a payload.
type comparison struct {
	opt  SwarmOptions
	load string
	told map[string]bool
	rows []*entrant
}

// entrant is a way with a number of nodes.
type entrant struct {
	shape   shape
	way     string
	results []result
}

func (t *comparison) add(s shape, w way, r result) {
	i := slices.IndexFunc(t.rows, func(e *entrant) bool { return e.shape.nodes == s.nodes && e.way == w.name })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &entrant{shape: s, way: w.name})
	}
	t.rows[i].results = append(t.rows[i].results, r)
}

// tell says how a program is called, the first time.
func (t *comparison) tell(args []string) {
	name := args[0]
	if name == "/proc/self/exe" || t.told[name] {
		return
	}
	t.told[name] = true
	line := strings.Join(args, " ")
	fmt.Fprintf(t.opt.Out, "$ %s\n", strings.Join(strings.Fields(line), " "))
}

// lastGoals are what the last of so many nodes may take, over size ÷ link.
var lastGoals = map[int]float64{1: 1.05, 8: 1.10, 24: 1.15, 72: 1.20}

// tooBusy is the share of the processors above which these, and not the links, are measured.
const tooBusy = 0.7

func (t *comparison) write() error {
	fmt.Fprintf(t.opt.Out, "\n%s\nmachines in namespaces, links shaped by tbf in both directions, payloads in memory; times over size ÷ link, bytes over the size, "+
		"least – most of the last nodes\ngoals for luna: last node ≤ 1.05, 1.10, 1.15, 1.20 with 1, 8, 24, 72 nodes; head ≤ 1.1; ≤ 5 processor s per GB and node\n"+
		"nginx sends to each node the nth part of the payload\n\n", machine(t.load))
	w := pretty.NewWriter()
	w.SetStyle(pretty.StyleLight)
	w.AppendHeader(pretty.Row{"nodes, link, MB", "way", "first", "median", "last", "least – most (runs)", "head sent", "s / GB, node", "MB / node", "% busy", ""})
	for _, e := range t.rows {
		w.AppendRow(e.row())
	}
	_, err := fmt.Fprintln(t.opt.Out, w.Render())
	return err
}

// row has the medians of all runs.
func (e *entrant) row() pretty.Row {
	row := pretty.Row{fmt.Sprintf("%d, %d Mbit/s, %.0f", e.shape.nodes, e.shape.mbit, float64(e.shape.pieces*e.shape.pieceLength)/1e6), e.way}
	of := func(number func(result) float64) float64 { m, _, _ := spread(e.results, number); return m }
	last, least, most := spread(e.results, func(r result) float64 { return r.last })
	busy := of(func(r result) float64 { return r.busy })
	row = append(row, fmt.Sprintf("%.2f", of(func(r result) float64 { return r.first })), fmt.Sprintf("%.2f", of(func(r result) float64 { return r.middle })),
		fmt.Sprintf("%.2f", last), fmt.Sprintf("%.2f – %.2f (%d)", least, most, len(e.results)), fmt.Sprintf("%.2f", of(func(r result) float64 { return r.sent })),
		fmt.Sprintf("%.1f", of(func(r result) float64 { return r.spent })), fmt.Sprintf("%.0f", of(func(r result) float64 { return r.memory })), fmt.Sprintf("%.0f", 100*busy))
	note := ""
	if e.way == "luna" {
		note = map[bool]string{true: "time met", false: "time missed"}[last <= lastGoals[e.shape.nodes]]
	}
	if busy > tooBusy {
		note = strings.TrimSpace(note + " too busy")
	}
	return append(row, note)
}

// firstOf is the first line of a text.
func firstOf(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
