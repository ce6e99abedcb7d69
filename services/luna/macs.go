package luna

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

func (a *app) listmacsCommand() *cobra.Command {
	return &cobra.Command{Use: "listmacs", Short: "MACs that switches have learned, and the nodes that have them", Args: cobra.NoArgs,
		Long: "Shows which MAC is on which port of which switch: the port's name and its number in the bridge, the node\n" +
			"that has the MAC, and the node that is configured for the port.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			rep, err := a.learnedMACs(cmd.Context())
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.print(rep)
			}
			t := a.newTable("switch", "port", "number", "mac", "vlans", "node", "configured")
			for _, r := range rep.Rows {
				vlans := strings.Trim(fmt.Sprint(r.Seen.GetVlans()), "[]")
				t.AppendRow([]any{r.Switch, r.Seen.GetPortName(), r.Seen.GetPortNumber(), r.Seen.GetMac(), vlans, r.Node, r.Configured})
			}
			t.Render()
			return nil
		}}
}

// learnedMACs asks for all pages, and sorts them as cables are looked at: by switch, port and MAC.
func (a *app) learnedMACs(ctx context.Context) (*switchpollerv1.ListMacsReply, error) {
	all := &switchpollerv1.ListMacsReply{}
	for after := ""; ; {
		rep, err := ask(ctx, a, "switch-poller", "mac", "list", &switchpollerv1.ListMacsRequest{After: after}, &switchpollerv1.ListMacsReply{})
		if err != nil {
			return nil, err
		}
		all.Rows = append(all.Rows, rep.Rows...)
		if rep.Next == "" {
			break
		}
		if rep.Next <= after {
			return nil, fmt.Errorf("the page after %q ends at %q: pages must go on", after, rep.Next)
		}
		after = rep.Next
	}
	slices.SortFunc(all.Rows, func(x, y *switchpollerv1.Row) int {
		return cmp.Or(cmp.Compare(x.Switch, y.Switch), cmp.Compare(x.Seen.GetPortNumber(), y.Seen.GetPortNumber()),
			cmp.Compare(x.Seen.GetMac(), y.Seen.GetMac()))
	})
	return all, nil
}
