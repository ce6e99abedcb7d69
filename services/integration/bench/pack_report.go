package bench

import (
	"cmp"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	pretty "github.com/jedib0t/go-pretty/v6/table"
)

// write writes what was measured, where and how.
func (p *packing) write(all []contestant) error {
	kernel, _ := exec.Command("uname", "-sr").Output() // a description may have holes
	fmt.Fprintf(p.Out, "\n%s, %d processors, %s; %s, %s\nload before: %s; after: %s\n%d files with %.1f MB, made of %s; %d rounds, in turn; unpacked to tmpfs\n\n",
		value("/proc/cpuinfo", "model name"), runtime.NumCPU(), value("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(kernel)), runtime.Version(),
		p.load, firstLine("/proc/loadavg"), p.files, float64(p.bytes)/1e6, p.From, p.Repeats)
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
	full, other, again := wall(luna.packed, 50), wall(pigz.packed, 50), wall(luna.repacked, 50)
	for _, g := range []struct {
		what string
		met  bool
	}{
		{fmt.Sprintf("full pack at least 2 x as fast as tar and pigz: %.2f x", other.Seconds()/full.Seconds()), full*2 <= other},
		{fmt.Sprintf("smaller than tar and pigz: %.1f %%", 100*float64(luna.size)/float64(pigz.size)), luna.size < pigz.size},
		{fmt.Sprintf("pack again after a small change in at most 5 %% of a full pack: %.1f %%", 100*again.Seconds()/full.Seconds()), again*20 <= full},
	} {
		word := "missed"
		if g.met {
			word = "met"
		}
		fmt.Fprintf(p.Out, "%s, %s\n", g.what, word)
	}
}

// wall returns the time that a share of all was not longer than; 0 is the shortest.
func wall(all []cost, percent int) time.Duration {
	var times []time.Duration
	for _, c := range all {
		times = append(times, c.wall)
	}
	return share(times, percent)
}

func seconds(all []cost) string {
	return fmt.Sprintf("%.2f (%.2f - %.2f)", wall(all, 50).Seconds(), wall(all, 0).Seconds(), wall(all, 100).Seconds())
}

func cpu(all []cost) string {
	return fmt.Sprintf("%.2f", middle(all, func(c cost) float64 { return c.cpu.Seconds() }))
}

func peak(all []cost) string {
	return fmt.Sprintf("%.0f", middle(all, func(c cost) float64 { return float64(c.memory) / 1e6 }))
}

// middle returns the median of something.
func middle[T cmp.Ordered](all []cost, of func(cost) T) T {
	var values []T
	for _, c := range all {
		values = append(values, of(c))
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
