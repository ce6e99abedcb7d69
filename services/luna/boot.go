package luna

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	dhcpv1 "github.com/luna-hpc/luna/proto/dhcp/v1"
)

const bootscript = "bootscript"

func (a *app) bootCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "boot", Short: "what nodes did while they booted"}
	cmd.AddCommand(a.bootShow(), a.bootWhy())
	return cmd
}

func (a *app) bootShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show NODE", Short: "tell a boot step by step", ValidArgsFunction: a.completeNames(catalog.Node),
		Example: "  luna boot show node042\n  luna boot show node042 --follow"}
	name := nameFlag(cmd, true)
	boot := cmd.Flags().String("boot", "", "`id` of an earlier boot (default: the newest)")
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with new steps until the boot has ended")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := name(args)
		if err != nil {
			return err
		}
		return a.showBoot(cmd.Context(), &bootscriptv1.BootShowRequest{Node: n, BootId: *boot}, *follow)
	}
	return cmd
}

func (a *app) showBoot(ctx context.Context, req *bootscriptv1.BootShowRequest, follow bool) error {
	shown, bootID := 0, ""
	for {
		rep, err := ask(ctx, a, bootscript, "boot", "show", req, &bootscriptv1.BootShowReply{})
		if err != nil {
			return err
		}
		if a.output != "table" && !follow {
			return a.print(rep)
		}
		if rep.BootId != bootID {
			shown, bootID = 0, rep.BootId
			fmt.Fprintf(a.out, "%s, boot %s\n", rep.Node, rep.BootId)
		}
		for _, s := range rep.Steps[min(shown, len(rep.Steps)):] {
			fmt.Fprintln(a.out, stepLine(s))
		}
		shown = len(rep.Steps)
		if !follow || ended(rep.Steps) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func ended(steps []*bootscriptv1.Step) bool {
	for _, s := range steps {
		if name := s.Report.GetName(); (name == "install.success" || name == "agent.service") && s.Report.GetState() == bootscriptv1.State_STATE_OK {
			return true
		}
	}
	return false
}

func stepLine(s *bootscriptv1.Step) string {
	r := s.Report
	at, _ := time.Parse(time.RFC3339Nano, s.Time)
	state := strings.ToLower(strings.TrimPrefix(r.GetState().String(), "STATE_"))
	line := fmt.Sprintf("  %s  %-20s %-8s", at.Local().Format("15:04:05"), r.GetName(), state)
	if r.GetSeconds() > 0 {
		line += fmt.Sprintf(" %6.1f s", r.GetSeconds())
	}
	if r.GetError() != "" {
		line += "  " + r.GetError()
	}
	if out := strings.TrimSpace(r.GetOutput()); out != "" && state == "failed" {
		line += "\n      | " + strings.ReplaceAll(out, "\n", "\n      | ")
	}
	return line
}

func (a *app) bootWhy() *cobra.Command {
	cmd := &cobra.Command{Use: "why NODE", Short: "tell where and why a boot stopped", ValidArgsFunction: a.completeNames(catalog.Node),
		Example: "  luna boot why node042"}
	name := nameFlag(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := name(args)
		if err != nil {
			return err
		}
		rep, err := ask(cmd.Context(), a, bootscript, "boot", "why", &bootscriptv1.BootWhyRequest{Node: n}, &bootscriptv1.BootWhyReply{})
		if err != nil {
			return err
		}
		if a.output != "table" {
			return a.print(rep)
		}
		fmt.Fprintf(a.out, "%s: %s\n", rep.Node, rep.Summary)
		if rep.LastGood != nil {
			fmt.Fprintln(a.out, "last good step:", strings.TrimSpace(stepLine(rep.LastGood)))
		}
		if rep.FirstBad != nil {
			fmt.Fprintln(a.out, "first bad step:", strings.TrimSpace(stepLine(rep.FirstBad)))
		}
		return nil
	}
	return cmd
}

func (a *app) discoverCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "discover", Short: "machines that are no nodes"}
	cmd.AddCommand(&cobra.Command{Use: "list", Short: "list machines that asked for a boot and are no nodes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rep, err := ask(cmd.Context(), a, bootscript, "discover", "list", &bootscriptv1.DiscoverListRequest{}, &bootscriptv1.DiscoverListReply{})
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.print(rep)
			}
			t := a.newTable("mac", "other MACs", "address", "asset", "seen on", "last seen", "refused")
			for _, m := range rep.Machines {
				t.AppendRow([]any{m.Mac, strings.Join(m.Macs, " "), m.Address, m.Asset, strings.Join(m.Places, "\n"), m.LastSeen, m.Refused})
			}
			t.Render()
			return nil
		}})
	return cmd
}

func (a *app) leaseCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "lease", Short: "addresses of machines that are no nodes"}
	cmd.AddCommand(&cobra.Command{Use: "list", Short: "list the leases of strangers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rep, err := ask(cmd.Context(), a, "dhcp", "lease", "list", &dhcpv1.LeaseListRequest{}, &dhcpv1.LeaseListReply{})
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.print(rep)
			}
			t := a.newTable("address", "mac", "host name", "until", "head")
			for _, l := range rep.Leases {
				t.AppendRow([]any{l.Address, l.Mac, l.Hostname, l.ExpiresAt, l.Head})
			}
			t.Render()
			return nil
		}})
	return cmd
}
