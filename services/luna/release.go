package luna

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

func (a *app) releasesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "releases NAME", Short: "list what was packed and is kept", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	name := nameFlag(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := name(args)
		if err != nil {
			return err
		}
		rep, err := ask(cmd.Context(), a, packer, "release", "list", &imagepackerv1.ReleasesRequest{Name: n}, &imagepackerv1.ReleasesReply{})
		if err != nil {
			return err
		}
		return a.showReleases(rep)
	}
	return cmd
}

func (a *app) showReleases(rep *imagepackerv1.ReleasesReply) error {
	if a.output != "table" {
		return a.print(rep)
	}
	t := a.newTable("release", "packed", "kernel", "payload", "compressed", "initrd", "current")
	for _, r := range rep.Releases.GetReleases() {
		when, _ := time.Parse(time.RFC3339, r.Time)
		t.AppendRow([]any{short(r.Manifest), when.Local().Format(time.DateTime), r.Kernver, size(r.PayloadBytes), compressed(r), size(r.InitrdBytes), yes(r.Manifest == rep.Releases.Current)})
	}
	t.Render()
	return nil
}

// compressed is the size of a release's compressed image, nothing when it has none.
func compressed(r *imagepackerv1.Release) string {
	if r.Overlay == nil {
		return ""
	}
	return size(r.Overlay.Bytes)
}

func (a *app) rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rollback NAME [RELEASE]", Short: "let nodes boot an earlier release, the one before when none is named",
		Example: "  luna osimage rollback compute", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	split := nameAndRest(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		req := &imagepackerv1.RollbackRequest{}
		var rest []string
		if req.Name, rest, err = split(args); err != nil {
			return err
		}
		switch len(rest) {
		case 0:
		case 1:
			req.Release = rest[0]
		default:
			return fault.Invalidf("unexpected word %q", rest[1])
		}
		rep, err := ask(cmd.Context(), a, packer, "release", "rollback", req, &imagepackerv1.ReleasesReply{})
		if err != nil {
			return err
		}
		return a.showReleases(rep)
	}
	return cmd
}

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{Use: "diff IMAGE[@RELEASE] [IMAGE[@RELEASE]]", Short: "show what two releases do not hold alike",
		Long: "Shows what two releases do not hold alike. An image without a release is its current one; a single image is compared with the release before.",
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeNames(catalog.Osimage),
		Example: "  luna osimage diff compute\n  luna osimage diff compute@3f2a compute\n  luna osimage diff compute gpu",
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &imagepackerv1.DiffRequest{}
			var exact bool
			if req.Name, req.Release, exact = strings.Cut(args[0], "@"); exact && req.Release == "" {
				return fault.Invalidf("%s names no release: write IMAGE or IMAGE@DIGITS, as in compute@3f2a", args[0])
			}
			if len(args) == 2 {
				if req.NewName, req.NewRelease, exact = strings.Cut(args[1], "@"); exact && req.NewRelease == "" {
					return fault.Invalidf("%s names no release: write IMAGE or IMAGE@DIGITS, as in compute@3f2a", args[1])
				}
			}
			rep, err := ask(cmd.Context(), a, packer, "release", "diff", req, &imagepackerv1.DiffReply{})
			if err != nil {
				return err
			}
			return a.showDiff(rep)
		}}
}

// marks are how kinds of differences begin their line.
var marks = map[string]string{"added": "+", "removed": "-", "changed": "~"}

func (a *app) showDiff(rep *imagepackerv1.DiffReply) error {
	if a.output != "table" {
		return a.print(rep)
	}
	for _, d := range rep.Differences {
		line := marks[d.Kind] + " " + d.Name
		if len(d.Aspects) > 0 {
			line += " (" + strings.Join(d.Aspects, ", ") + ")"
		}
		fmt.Fprintln(a.out, line)
	}
	if rep.LeftOut > 0 {
		fmt.Fprintf(a.out, "and %d more\n", rep.LeftOut)
	}
	fmt.Fprintf(a.out, "%s to %s: %d added, %d removed, %d changed, %+.1f MB\n", short(rep.Old), short(rep.New), rep.Added, rep.Removed, rep.Changed, float64(rep.Bytes)/1e6)
	return nil
}

func short(digest string) string { return digest[:min(len(digest), 19)] }

func size(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
