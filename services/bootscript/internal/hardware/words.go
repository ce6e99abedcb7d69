package hardware

import (
	"fmt"
	"strings"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// Memory writes bytes as makers of memory count them: 64 GiB.
func Memory(bytes uint64) string {
	return scaled(bytes, 1<<10, []string{"B", "KiB", "MiB", "GiB", "TiB"})
}

// Size writes bytes as makers of disks count them: 1.92 TB.
func Size(bytes uint64) string {
	return scaled(bytes, 1000, []string{"B", "kB", "MB", "GB", "TB", "PB"})
}

// Speed writes Mbit/s; "" when it is not known.
func Speed(mbit uint32) string {
	if mbit == 0 {
		return ""
	}
	return scaled(uint64(mbit), 1000, []string{"Mbit/s", "Gbit/s"})
}

// scaled writes n in the largest unit of which there is one, with two digits
// after the point at most.
func scaled(n uint64, step float64, units []string) string {
	f, unit := float64(n), 0
	for f >= step && unit < len(units)-1 {
		f, unit = f/step, unit+1
	}
	text := fmt.Sprintf("%.2f", f)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " " + units[unit]
}

func diskName(d *bootscriptv1.Disk) string {
	return strings.TrimSpace("disk " + d.Name + named(" (SN ", d.Serial, ")"))
}

func nicName(n *bootscriptv1.Nic) string {
	return strings.TrimSpace("card " + n.Name + named(" (", n.Mac, ")"))
}

func turning(d *bootscriptv1.Disk) string {
	if d.Rotational {
		return "turning"
	}
	return "solid"
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// named puts words around a text that is there.
func named(before, text string, after ...string) string {
	if text == "" {
		return ""
	}
	return before + text + strings.Join(after, "")
}
