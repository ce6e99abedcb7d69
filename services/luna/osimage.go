package luna

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

const packer = "image-packer"

func (a *app) osimageCommand() *cobra.Command {
	return nounCommand(catalog.Osimage, "operating-system images",
		a.changing(verb{noun: catalog.Osimage, verb: "add", short: "add an image: a directory with a root file system and a kernel", service: packer,
			named: true, needsName: true, request: &imagepackerv1.OsimageAddRequest{}, example: "  luna osimage add -n compute -p /opt/luna/os/compute",
			fields: []field{
				{name: "path", short: "p", usage: "`directory` with the root file system"},
				{name: "kernver", short: "k", usage: "kernel `version` (default: the newest in the image)"},
				{name: "kernopts", short: "o", usage: "kernel `options`"},
				said,
			}, more: absolutePath}),
		a.changing(verb{noun: catalog.Osimage, verb: "change", short: "change an image's description", named: true, needsName: true, request: &inventoryv1.OsimageChangeRequest{},
			texts:   []longText{comment, {"grab_exclude_list", "e", "what grab leaves out: edit it, or read it from a pipe"}},
			example: "  luna osimage change compute --kernopts 'console=ttyS0,115200'",
			fields: []field{
				{name: "path", short: "p", usage: "`directory` with the root file system"},
				{name: "kernver", short: "k", usage: "kernel `version`"},
				{name: "kernopts", short: "o", usage: "kernel `options`"},
				{name: "dracutmodules", short: "d", usage: "dracut `modules`, with commas; -x leaves x out"},
				{name: "kernmodules", short: "m", usage: "kernel `modules`, with commas; -x leaves x out"},
				{name: "grab_filesystems", short: "f", usage: "file systems that grab reads, with commas"},
			}}),
		a.packCommand(), a.releasesCommand(), a.osimageSyncCommand(),
		a.showing(catalog.Osimage, nil, part{"path", "p", "path"}, part{"kernver", "k", "kernver"}, part{"kernopts", "o", "kernopts"},
			part{"grab_exclude_list", "e", "grab_exclude_list"}, part{"grab_filesystems", "f", "grab_filesystems"}), a.listing(catalog.Osimage), a.renaming(catalog.Osimage), a.deleting(catalog.Osimage))
}

// absolutePath lets a directory be typed as seen from where one is.
func absolutePath(*cobra.Command) func(context.Context, proto.Message) error {
	return func(_ context.Context, m proto.Message) (err error) {
		req := m.(*imagepackerv1.OsimageAddRequest)
		if req.Path != "" {
			req.Path, err = filepath.Abs(req.Path)
		}
		return err
	}
}

func (a *app) packCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pack NAME", Short: "make an image bootable: payload, torrent, kernel, initrd",
		Example: "  luna osimage pack compute", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	name := nameFlag(cmd, true)
	req := &imagepackerv1.PackRequest{}
	cmd.Flags().BoolVarP(&req.Image, "image", "i", false, "only the payload")
	cmd.Flags().BoolVarP(&req.Boot, "boot", "b", false, "only kernel and initrd")
	cmd.Flags().BoolVarP(&req.CopyBoot, "copy_boot", "c", false, "take the image's own initrd")
	detach := cmd.Flags().Bool("detach", false, "do not wait; print the job's id")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Name, err = name(args); err != nil {
			return err
		}
		rep, err := ask(cmd.Context(), a, packer, "osimage", "pack", req, &jobv1.JobReply{})
		if err != nil {
			return err
		}
		if *detach {
			fmt.Fprintln(a.out, rep.JobId)
			return nil
		}
		return a.follow(cmd.Context(), packer, rep.JobId)
	}
	return cmd
}

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
		if a.output != "table" {
			return a.print(rep)
		}
		t := a.newTable("release", "packed", "kernel", "payload", "initrd", "current")
		for _, r := range rep.Releases.GetReleases() {
			when, _ := time.Parse(time.RFC3339, r.Time)
			t.AppendRow([]any{short(r.Manifest), when.Local().Format(time.DateTime), r.Kernver, size(r.PayloadBytes), size(r.InitrdBytes), yes(r.Manifest == rep.Releases.Current)})
		}
		t.Render()
		return nil
	}
	return cmd
}

func (a *app) osimageSyncCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "sync NAME", Short: "nothing: heads share all by themselves", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	name := nameFlag(cmd, true)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		n, err := name(args)
		if err == nil {
			_, err = fmt.Fprintf(a.out, synced, "the releases of "+n)
		}
		return err
	}
	return cmd
}

func short(digest string) string { return digest[:min(len(digest), 19)] }

func size(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
