package luna

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/hostlist"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	powerv1 "github.com/luna-hpc/luna/proto/power/v1"
)

const power = "power"

// powerActions are the verbs of the power service, as it names them.
var powerActions = []string{"status", "on", "off", "reset", "cycle", "identify", "noidentify"}

func (a *app) powerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "power {NODES | -g GROUP | --all} ACTION", Short: "switch machines on and off: " + strings.Join(powerActions, ", "),
		Long: "power asks the controllers of nodes over IPMI or Redfish. It is lpower, too.\n" +
			"off is a hard off; reset and cycle need a machine that is on.",
		Example:           "  luna power node[001-003] on\n  luna power -g compute status\n  lpower node007,login1 cycle",
		ValidArgsFunction: a.completePower}
	f := cmd.Flags()
	group := f.StringP("group", "g", "", "all nodes of this `group`")
	all := f.Bool("all", false, "all nodes")
	limit := f.Uint32("limit", 0, "how `many` controllers are asked at once (default: the service's, 64)")
	stagger := f.Duration("stagger", 0, "`time` between two machines that are switched, such as 200ms (default: the service's)")
	detach := f.Bool("detach", false, "do not wait; print the job's id")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		action, lists, err := powerWords(args)
		if err != nil {
			return err
		}
		req := &powerv1.PowerRequest{Nodes: lists, Group: *group, All: *all, Limit: *limit}
		if f.Changed("stagger") {
			if *stagger < 0 || *stagger > time.Hour {
				return fault.Invalidf("stagger %s is no time from 0 to 1h", *stagger)
			}
			ms := uint32(stagger.Milliseconds())
			req.Stagger = &ms
		}
		rep, err := ask(cmd.Context(), a, power, "node", action, req, &jobv1.JobReply{})
		if err != nil {
			return err
		}
		if *detach {
			fmt.Fprintln(a.out, rep.JobId)
			return nil
		}
		return a.follow(cmd.Context(), power, rep.JobId)
	}
	return cmd
}

// powerWords tells the action, the last word, from the nodes.
func powerWords(args []string) (action string, lists []string, err error) {
	actions := strings.Join(powerActions, ", ")
	if len(args) == 0 {
		return "", nil, fault.Invalidf("which nodes, and what shall they do? luna power NODES ACTION; actions are %s", actions)
	}
	last := len(args) - 1
	if !slices.Contains(powerActions, args[last]) {
		return "", nil, fault.Invalidf("%q is no action; the last word must be one of %s", args[last], actions)
	}
	return args[last], args[:last], nil
}

// completePower offers nodes and actions to the shell.
func (a *app) completePower(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || cmd.Flags().Changed("group") || cmd.Flags().Changed("all") {
		return powerActions, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeNames(catalog.Node)(cmd, args, typed)
}

// printResults writes a line for all nodes with the same result.
func (a *app) printResults(results []*jobv1.Result) {
	type line struct{ text, error string }
	nodes := map[line][]string{}
	var lines []line
	for _, r := range results {
		l := line{r.Text, r.Error}
		if nodes[l] == nil {
			lines = append(lines, l)
		}
		nodes[l] = append(nodes[l], r.Name)
	}
	for _, l := range lines {
		fmt.Fprintf(a.out, "%s: %s%s\n", hostlist.Fold(nodes[l]), l.text, l.error)
	}
}

// worst is the error of a job some of whose parts failed: internal faults are
// worst, then those with the highest exit status.
func worst(j *jobv1.Job) error {
	failed, kind := 0, fault.Invalid
	for _, r := range j.Results {
		if r.ErrorCode == 0 {
			continue
		}
		failed++
		if k := fault.FromCode(int(r.ErrorCode)); k == fault.Internal || kind != fault.Internal && k.Exit() > kind.Exit() {
			kind = k
		}
	}
	if failed == 0 {
		return nil
	}
	return fault.New(kind, "%s: %d of %d failed", j.Title, failed, len(j.Results))
}

// sortResults puts results into the order of their names.
func sortResults(results []*jobv1.Result) {
	slices.SortStableFunc(results, func(x, y *jobv1.Result) int { return hostlist.Compare(x.Name, y.Name) })
}
