package luna

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/imagelock"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/luna/internal/chroot"
)

// status is how a command that luna ran for somebody ended; it is luna's own exit status.
type status int

// Error tells the status.
func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func (a *app) chrootCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "chroot NAME [COMMAND…]", Short: "work in an image as if it were booted",
		Long: "chroot runs a shell, or a command, in the image's directory on this machine; it is lchroot, too.\n" +
			"/proc, /sys, /dev and an empty /run are there, and uname answers the image's kernel\n" +
			"(32-bit programs in a 64-bit image see this machine's). What is started in it ends with it.\n" +
			"The image is not packed meanwhile.",
		Example: "  luna osimage chroot compute\n  lchroot compute apt-get install -y hwloc", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	split := nameAndRest(cmd)
	cmd.Flags().SetInterspersed(false) // what follows the name is the command's
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, command, err := split(args)
		if err != nil {
			return err
		}
		rep, err := ask(cmd.Context(), a, inventory, string(catalog.Osimage), "show", &inventoryv1.ShowRequest{Name: n}, &inventoryv1.ShowReply{})
		if err != nil {
			return err
		}
		return a.enter(rep.Object.GetOsimage(), command)
	}
	return cmd
}

func (a *app) enter(image *inventoryv1.Osimage, command []string) error {
	if os.Geteuid() != 0 {
		return fault.Unavailablef("not done: only root may work in an image")
	}
	if _, err := os.Stat(image.Path); err != nil {
		return fault.Unavailablef("not done: osimage %s lies on head %s: %w", image.Name, image.Head, err)
	}
	lock, err := imagelock.Shared(image.Path)
	if errors.Is(err, imagelock.ErrBusy) {
		err = fault.Conflictf("osimage %s: %w", image.Name, err)
	}
	if err != nil {
		return err
	}
	n, err := chroot.Run(chroot.Options{Root: image.Path, Release: image.Kernver, Command: command, In: a.in, Out: a.out, Err: a.err})
	err = errors.Join(err, lock.Unlock())
	if err == nil && n != 0 {
		return status(n)
	}
	return err
}
