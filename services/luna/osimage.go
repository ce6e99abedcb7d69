package luna

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
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
				{name: "path", short: "p", usage: "`directory` with the root file system", needed: true},
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
		a.osimageImportCommand(), a.packCommand(), a.cloneCommand(), a.grabCommand(), a.pushCommand(), a.chrootCommand(), a.releasesCommand(), a.rollbackCommand(), a.diffCommand(), a.osimageSyncCommand(),
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
		Long: "pack makes a release of an image's directory, which nodes boot next. All of the directory is in it but what each machine\n" +
			"makes for itself (machine-id, random seeds, DHCP leases), and what is in /proc, /sys, /dev, /run and /tmp. What is mounted\n" +
			"in the directory is not entered: only the place is packed, and a note names it. grab_exclude_list is for grab and push alone.",
		Example: "  luna osimage pack compute", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	name := nameFlag(cmd, true)
	req := &imagepackerv1.PackRequest{}
	cmd.Flags().BoolVarP(&req.Image, "image", "i", false, "only the payload")
	cmd.Flags().BoolVarP(&req.Boot, "boot", "b", false, "only kernel and initrd")
	cmd.Flags().BoolVarP(&req.CopyBoot, "copy_boot", "c", false, "take the image's own initrd")
	cmd.Flags().BoolVar(&req.Overlay, "overlay", false, "also the compressed image for groups with --root overlay, before there is one")
	run := a.longWork(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Name, err = name(args); err != nil {
			return err
		}
		return run(cmd.Context(), "pack", req)
	}
	return cmd
}

func (a *app) cloneCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "clone NAME", Short: "copy an image with its directory",
		Example: "  luna osimage clone compute --to gpu --path /opt/luna/os/gpu", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	name := nameFlag(cmd, true)
	req := &imagepackerv1.OsimageCloneRequest{}
	cmd.Flags().StringVarP(&req.To, "to", "t", "", "`name` of the copy")
	cmd.Flags().StringVarP(&req.Path, "path", "p", "", "`directory` of the copy, which must not exist")
	run := a.longWork(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Name, err = name(args); err != nil {
			return err
		}
		if req.To == "" || req.Path == "" {
			return fault.Invalidf("a clone needs a name and a directory of its own: --to NAME --path DIRECTORY")
		}
		if req.Path, err = filepath.Abs(req.Path); err != nil {
			return err
		}
		return run(cmd.Context(), "clone", req)
	}
	return cmd
}

func (a *app) osimageImportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import SOURCE --name NAME --path DIRECTORY", Short: "make an image of one that was saved for containers", Args: cobra.ExactArgs(1),
		Long: "Makes an image of one that was saved for containers. SOURCE is docker-archive:FILE[:TAG], as `docker save` writes it, oci:DIRECTORY[:TAG] or oci-archive:FILE[:TAG]. " +
			"Such an image mostly has no kernel: the directory is kept all the same, and can be packed once one is installed.",
		Example: "  luna osimage import docker-archive:debian.tar -n compute -p /opt/luna/os/compute\n  luna osimage import oci:layout:v2 -n compute -p /opt/luna/os/compute"}
	req := &imagepackerv1.OsimageImportRequest{}
	cmd.Flags().StringVarP(&req.Name, "name", "n", "", "`name` of the image")
	cmd.Flags().StringVarP(&req.Path, "path", "p", "", "`directory` of the image, which does not exist or is empty")
	cmd.Flags().StringVar(&req.Platform, "platform", "", "`platform` of several, as arm64 (default: amd64)")
	cmd.Flags().StringVarP(&req.Kernopts, "kernopts", "o", "", "kernel `options`")
	cmd.Flags().StringVar(&req.Head, "head", "", "`head` that has the file and gets the directory (default: whichever answers)")
	run := a.longWork(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if req.Name == "" || req.Path == "" {
			return fault.Invalidf("an import needs a name and a directory: --name NAME --path DIRECTORY")
		}
		src, err := imagepackerv1.ParseSource(args[0])
		if err != nil {
			return fault.Invalidf("%w", err)
		}
		if src, err = src.Absolute(); err != nil {
			return err
		}
		if req.Path, err = filepath.Abs(req.Path); err != nil {
			return err
		}
		req.Source = src.String()
		return run(cmd.Context(), "import", req)
	}
	return cmd
}

// longWork gives a command the flag to leave its job alone, and returns what begins the job and
// shows how it goes on.
func (a *app) longWork(cmd *cobra.Command) func(ctx context.Context, verb string, req proto.Message) error {
	detach := cmd.Flags().Bool("detach", false, "do not wait; print the job's id")
	return func(ctx context.Context, verb string, req proto.Message) error {
		rep, err := ask(ctx, a, packer, "osimage", verb, req, &jobv1.JobReply{})
		if err != nil {
			return err
		}
		if *detach {
			fmt.Fprintln(a.out, rep.JobId)
			return nil
		}
		return a.follow(ctx, packer, rep.JobId)
	}
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
