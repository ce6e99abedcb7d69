package bench

import (
	"fmt"

	pretty "github.com/jedib0t/go-pretty/v6/table"
)

// write writes what was measured, where and how.
func (p *packing) write(all []contestant) error {
	fmt.Fprintf(p.Out, "\n%s\n%d files with %.1f MB, made of %s; %d rounds, in turn; unpacked to tmpfs\n\n",
		machine(p.load), p.files, float64(p.bytes)/1e6, p.From, p.Repeats)
	w := pretty.NewWriter()
	w.SetStyle(pretty.StyleLight)
	w.AppendHeader(pretty.Row{"median (least - most)", "pack, s", "cpu s", "peak MB", "size MB", "again, s", "unpack, s", "cpu s", "peak MB"})
	for _, c := range all {
		again := "as before"
		if len(c.repacked) > 0 {
			again = seconds(c.repacked)
		}
		w.AppendRow(pretty.Row{c.name, seconds(c.packed), cpu(c.packed), peak(c.packed), fmt.Sprintf("%.1f", float64(c.size)/1e6), again, seconds(c.unpacked), cpu(c.unpacked), peak(c.unpacked)})
	}
	fmt.Fprintln(p.Out, w.Render())
	p.goals(all)
	for _, c := range all {
		fmt.Fprintf(p.Out, "\n%s: %s\n  %s\n  %s\n", c.name, c.told, c.pack, c.unpack)
	}
	return nil
}

// goals compares Luna with tar and pigz.
func (p *packing) goals(all []contestant) {
	luna, pigz := all[0], all[1]
	full, other, again := wall(luna.packed), wall(pigz.packed), wall(luna.repacked)
	for _, g := range []struct {
		what string
		met  bool
	}{
		{fmt.Sprintf("full pack at least 2 x as fast as tar and pigz: %.2f x", other/full), full*2 <= other},
		{fmt.Sprintf("smaller than tar and pigz: %.1f %%", 100*float64(luna.size)/float64(pigz.size)), luna.size < pigz.size},
		{fmt.Sprintf("pack again after a small change in at most 5 %% of a full pack: %.1f %%", 100*again/full), again*20 <= full},
	} {
		word := "missed"
		if g.met {
			word = "met"
		}
		fmt.Fprintf(p.Out, "%s, %s\n", g.what, word)
	}
}

// seconds are the times of all, the median before the least and the most.
func seconds(all []cost) string {
	median, least, most := spread(all, func(c cost) float64 { return c.wall.Seconds() })
	return fmt.Sprintf("%.2f (%.2f - %.2f)", median, least, most)
}

func wall(all []cost) float64 {
	median, _, _ := spread(all, func(c cost) float64 { return c.wall.Seconds() })
	return median
}

func cpu(all []cost) string {
	median, _, _ := spread(all, func(c cost) float64 { return c.cpu.Seconds() })
	return fmt.Sprintf("%.2f", median)
}

func peak(all []cost) string {
	median, _, _ := spread(all, func(c cost) float64 { return float64(c.memory) / 1e6 })
	return fmt.Sprintf("%.0f", median)
}
