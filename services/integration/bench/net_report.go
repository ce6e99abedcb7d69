package bench

import (
	"cmp"
	"fmt"
	"slices"

	pretty "github.com/jedib0t/go-pretty/v6/table"
)

// spread is the median of some numbers, and the least and the greatest.
func spread[T any](of []T, number func(T) float64) (median, least, most float64) {
	sorted := slices.SortedFunc(slices.Values(of), func(a, b T) int { return cmp.Compare(number(a), number(b)) })
	return number(sorted[len(sorted)/2]), number(sorted[0]), number(sorted[len(sorted)-1])
}

// report writes what was measured so far.
func (n *network) report(matches []*match) error {
	fmt.Fprintf(n.opt.Out, "\n%s\n%d nodes, each run %s, servers in turn in one namespace, clients in another, a cable of two ends between them\n\n",
		machine(n.load), n.nodes, n.opt.Trial)
	w := pretty.NewWriter()
	w.SetStyle(pretty.StyleLight)
	w.AppendHeader(pretty.Row{"answers a second", "server", "median", "least – most (runs)", "% lost", "processors busy", "goal", ""})
	for _, m := range matches {
		for side, c := range m.contenders {
			if len(m.scores[side]) == 0 {
				continue
			}
			median, least, most := spread(m.scores[side], func(s score) float64 { return s.rate })
			lost, _, _ := spread(m.scores[side], func(s score) float64 { return 100 * s.lost })
			busy, _, _ := spread(m.scores[side], func(s score) float64 { return s.busy })
			row := pretty.Row{m.what, c.name, fmt.Sprintf("%.0f", median), fmt.Sprintf("%.0f – %.0f (%d)", least, most, len(m.scores[side])),
				fmt.Sprintf("%.2f", lost), fmt.Sprintf("%.2f", busy)}
			if side == 0 {
				row = append(row, m.verdict(median)...)
			}
			w.AppendRow(row)
		}
	}
	_, err := fmt.Fprintln(n.opt.Out, w.Render())
	return err
}

// verdict compares our median with the goal.
func (m *match) verdict(ours float64) pretty.Row {
	goal := m.goal
	if goal == 0 && len(m.scores[1]) > 0 {
		goal, _, _ = spread(m.scores[1], func(s score) float64 { return s.rate })
	}
	switch {
	case goal == 0:
		return pretty.Row{"", ""}
	case ours >= goal:
		return pretty.Row{fmt.Sprintf("≥ %.0f", goal), "met"}
	}
	return pretty.Row{fmt.Sprintf("≥ %.0f", goal), "missed"}
}
