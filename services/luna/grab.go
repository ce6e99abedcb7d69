package luna

import (
	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

func (a *app) grabCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "grab NAME --host HOST", Short: "bring an image to the state of a running host",
		Long: "grab makes the image's directory like the system of a node, or of any host that lets the head's root\n" +
			"in by ssh. What grab_exclude_list names is neither brought nor taken away; only grab_filesystems are read,\n" +
			"but for one that the list covers.\n" +
			"Host keys of ssh and what else makes a machine itself never come. Until all has come the image stays as it was.",
		Example: "  luna osimage grab compute --host node001 --dry_run\n  luna osimage grab compute --host node001", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	name := nameFlag(cmd, true)
	req := &imagepackerv1.OsimageGrabRequest{}
	cmd.Flags().StringVarP(&req.Host, "host", "H", "", "`host` to grab: a node, or a name or an address, with :PORT where ssh is not on port 22")
	cmd.Flags().BoolVarP(&req.DryRun, "dry_run", "d", false, "tell what would be created, changed and deleted, and do nothing")
	cmd.Flags().BoolVarP(&req.Verbose, "verbose", "v", false, "tell what was created, changed and deleted")
	cmd.Flags().BoolVar(&req.AcceptHostKey, "accept_host_key", false, "take a host key of which nothing is known")
	run := a.longWork(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Name, err = name(args); err != nil {
			return err
		}
		if req.Host == "" {
			return fault.Invalidf("of which host? --host NODE, or a name or an address")
		}
		return run(cmd.Context(), "grab", req)
	}
	return cmd
}
