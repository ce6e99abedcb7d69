package luna

import (
	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

func (a *app) pushCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "push NAME {--nodes NODES | -g GROUP | --all}", Short: "bring running nodes to a release of their image, without a boot",
		Long: "push changes on running nodes what their release and the new one do not hold alike: files that only the\n" +
			"new one has are made, those that only the old one had are deleted, others are replaced, each in one step.\n" +
			"What no release knows stays, as does what grab_exclude_list names and what makes a node itself: names,\n" +
			"network files, host keys, /etc/fstab. Nothing is restarted; another kernel runs after the next boot.",
		Example:           "  luna osimage push compute --nodes node[001-003] --dry_run\n  luna osimage push compute -g compute\n  luna osimage push compute --all --release 3f2a",
		ValidArgsFunction: a.completeNames(catalog.Osimage)}
	name := nameFlag(cmd, true)
	req := &imagepackerv1.OsimagePushRequest{}
	f := cmd.Flags()
	f.StringArrayVar(&req.Nodes, "nodes", nil, "these `nodes`, as in node[001-003,007]")
	f.StringVarP(&req.Group, "group", "g", "", "all nodes of this `group`")
	f.BoolVar(&req.All, "all", false, "all nodes that boot the image")
	f.StringVar(&req.Release, "release", "", "first `digits` of the release (default: the one that nodes boot)")
	f.StringVar(&req.From, "from", "", "first `digits` of the release that nodes have, where they cannot tell")
	f.BoolVarP(&req.DryRun, "dry_run", "d", false, "tell what would be created, changed and deleted, and do nothing")
	f.Uint32Var(&req.Limit, "limit", 0, "how `many` nodes at once (default 16)")
	f.BoolVar(&req.AcceptHostKey, "accept_host_key", false, "take host keys of which nothing is known")
	run := a.longWork(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Name, err = name(args); err != nil {
			return err
		}
		if len(req.Nodes) == 0 && req.Group == "" && !req.All {
			return fault.Invalidf("to which nodes? --nodes NODES, -g GROUP, or --all that boot the image")
		}
		return run(cmd.Context(), "push", req)
	}
	return cmd
}
