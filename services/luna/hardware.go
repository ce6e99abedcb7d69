package luna

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/fault"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

func (a *app) showHardware(ctx context.Context, name string) error {
	rep, err := ask(ctx, a, bootscript, "hardware", "show", &bootscriptv1.HardwareShowRequest{Node: name}, &bootscriptv1.HardwareShowReply{})
	if err != nil {
		return err
	}
	if a.output != "table" {
		return a.print(rep)
	}
	if rep.Now == nil {
		_, err := fmt.Fprintf(a.out, "%s has not told what is in its machine: it does so when it boots\n", rep.Node)
		return err
	}
	a.printMachine(rep.Now)
	a.printDevices(rep.Now)
	a.printChanges(rep)
	return nil
}

// printMachine writes what a machine has one of.
func (a *app) printMachine(h *bootscriptv1.Hardware) {
	t := a.newTable("machine", "")
	add := func(name string, parts ...string) {
		t.AppendRow([]any{name, strings.Join(strings.Fields(strings.Join(parts, " ")), " ")})
	}
	add("machine", h.Vendor, h.Product)
	add("serial number", h.Serial)
	add("firmware", strings.ToUpper(h.Firmware), h.FirmwareVersion)
	add("processors", h.CpuModel)
	add("", fmt.Sprintf("%d sockets, %d cores, %d threads", h.CpuSockets, h.CpuCores, h.CpuThreads))
	add("memory", gibibytes(h.MemoryBytes))
	if b := h.Bmc; b != nil {
		add("BMC", b.Manufacturer, b.FirmwareVersion, b.Address, b.Mac)
	}
	for _, key := range h.HostKeys {
		kind, _, _ := strings.Cut(key, " ")
		add("ssh host key", kind)
	}
	t.Render()
}

// printDevices writes a machine's disks and cards.
func (a *app) printDevices(h *bootscriptv1.Hardware) {
	disks := a.newTable("disk", "size", "kind", "model", "serial number", "by-path")
	for _, d := range h.Disks {
		kind := "solid"
		if d.Rotational {
			kind = "turning"
		}
		disks.AppendRow([]any{d.Name, fmt.Sprintf("%.1f GB", float64(d.Bytes)/1e9), kind, d.Model, d.Serial, d.Path})
	}
	disks.Render()
	cards := a.newTable("card", "mac", "driver", "link", "Mbit/s", "address")
	for _, n := range h.Nics {
		speed := ""
		if n.Speed > 0 {
			speed = fmt.Sprint(n.Speed)
		}
		cards.AppendRow([]any{n.Name, n.Mac, n.Driver, yes(n.Link), speed, n.Address})
	}
	cards.Render()
}

// printChanges tells since when a machine is as it is.
func (a *app) printChanges(rep *bootscriptv1.HardwareShowReply) {
	when, _ := time.Parse(time.RFC3339Nano, rep.Now.Time)
	fmt.Fprintf(a.out, "so since boot %s at %s", rep.Now.BootId, when.Local().Format(time.DateTime))
	switch {
	case rep.Before == nil:
		fmt.Fprintln(a.out, "; nothing is known from before")
	case len(rep.Changes) == 0:
		fmt.Fprintln(a.out, ", as in boots before")
	default:
		fmt.Fprintln(a.out, "; what became different then:")
	}
	for _, c := range rep.Changes {
		fmt.Fprintln(a.out, "  "+c)
	}
}

func gibibytes(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

func (a *app) knownHostsCommand() *cobra.Command {
	return &cobra.Command{Use: "known_hosts", Short: "the nodes' ssh host keys, as lines of a known_hosts file", Args: cobra.NoArgs,
		Long: "The keys are those of the installed systems, as nodes told them at the end of their last installation;\n" +
			"names and addresses are those of now.",
		Example: "  luna cluster known_hosts > /etc/ssh/ssh_known_hosts",
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := a.knownHosts(cmd.Context())
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.print(&bootscriptv1.KnownHostsReply{Lines: all})
			}
			for _, line := range all {
				fmt.Fprintln(a.out, line)
			}
			return nil
		}}
}

// knownHosts reads all pages.
func (a *app) knownHosts(ctx context.Context) (all []string, err error) {
	after := ""
	for range 10000 {
		rep, err := ask(ctx, a, bootscript, "hardware", "knownhosts", &bootscriptv1.KnownHostsRequest{After: after}, &bootscriptv1.KnownHostsReply{})
		if err != nil {
			return nil, err
		}
		all = append(all, rep.Lines...)
		if after = rep.Next; after == "" {
			return all, nil
		}
	}
	return nil, fault.Unavailablef("the list does not end")
}
