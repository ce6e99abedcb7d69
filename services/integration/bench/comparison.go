package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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

// entrant returns that of a way with a number of nodes.
func (t *comparison) entrant(s shape, way string) *entrant {
	i := slices.IndexFunc(t.rows, func(e *entrant) bool { return e.shape == s && e.way == way })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &entrant{shape: s, way: way})
	}
	return t.rows[i]
}

// runs is how often a way was measured.
func (t *comparison) runs(s shape, way string) int { return len(t.entrant(s, way).results) }

// record is a line of the file that keeps what was measured.
type record struct {
	Nodes                              int
	Mbit                               float64
	PieceLength, Pieces, Bucket, Queue int
	Way                                string
	result
}

// recall reads what was measured before.
func (t *comparison) recall() error {
	if t.opt.Kept == "" {
		return nil
	}
	f, err := os.Open(t.opt.Kept)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	for {
		var r record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s is not what an earlier comparison kept: %w", t.opt.Kept, err)
		}
		e := t.entrant(shape{r.Nodes, r.Mbit, r.PieceLength, r.Pieces, r.Bucket, r.Queue}, r.Way)
		e.results = append(e.results, r.result)
	}
}

// keep notes a run.
func (t *comparison) keep(s shape, way string, r result) error {
	e := t.entrant(s, way)
	e.results = append(e.results, r)
	if t.opt.Kept == "" {
		return nil
	}
	line, err := json.Marshal(record{s.nodes, s.mbit, s.pieceLength, s.pieces, s.bucket, s.queue, way, r})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(t.opt.Kept, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
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
		"least – most of the last nodes; TCP "+congestion+"\ngoals for luna: last node ≤ 1.05, 1.10, 1.15, 1.20 with 1, 8, 24, 72 nodes; head ≤ 1.1; ≤ 5 processor s per GB and node\n"+
		"nginx sends to each node the nth part of the payload\n\n", machine(t.load))
	w := pretty.NewWriter()
	w.SetStyle(pretty.StyleLight)
	w.AppendHeader(pretty.Row{"nodes, link, bucket, queue, MB", "way", "first", "median", "last", "least – most (runs)", "head sent", "s / GB, node", "MB / node", "% busy", ""})
	for _, e := range t.rows {
		if len(e.results) > 0 {
			w.AppendRow(e.row())
		}
	}
	_, err := fmt.Fprintln(t.opt.Out, w.Render())
	return err
}

// row has the medians of all runs.
func (e *entrant) row() pretty.Row {
	row := pretty.Row{fmt.Sprintf("%d, %g Mbit/s, %d, %d KiB, %.0f", e.shape.nodes, e.shape.mbit, e.shape.bucket, e.shape.queue, float64(e.shape.pieces*e.shape.pieceLength)/1e6), e.way}
	of := func(number func(result) float64) float64 { m, _, _ := spread(e.results, number); return m }
	last, least, most := spread(e.results, func(r result) float64 { return r.Last })
	busy := of(func(r result) float64 { return r.Busy })
	row = append(row, fmt.Sprintf("%.2f", of(func(r result) float64 { return r.First })), fmt.Sprintf("%.2f", of(func(r result) float64 { return r.Middle })),
		fmt.Sprintf("%.2f", last), fmt.Sprintf("%.2f – %.2f (%d)", least, most, len(e.results)), fmt.Sprintf("%.2f", of(func(r result) float64 { return r.Sent })),
		fmt.Sprintf("%.1f", of(func(r result) float64 { return r.Spent })), fmt.Sprintf("%.0f", of(func(r result) float64 { return r.Memory })), fmt.Sprintf("%.0f", 100*busy))
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
