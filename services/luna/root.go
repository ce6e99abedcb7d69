// Package luna is the command line: it turns words into requests on the bus
// and replies into text.
package luna

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/luna/internal/chroot"
)

// app is what all commands share.
type app struct {
	in       io.Reader
	out, err io.Writer

	url, creds, output, reason string
	timeout                    time.Duration
	// dryRun asks what a command would do.
	dryRun bool
	conn   *bus.Conn
}

// Words returns the words of a command line with the name that it was called
// by: as lpower it is luna power, as lchroot luna osimage chroot.
func Words(argv []string) []string {
	switch filepath.Base(argv[0]) {
	case "lpower":
		return append([]string{power}, argv[1:]...)
	case "lchroot":
		return append([]string{string(catalog.Osimage), "chroot"}, argv[1:]...)
	}
	return argv[1:]
}

// Main runs the command line and returns its exit status: 0, or the status of
// the error's kind (2 invalid, 3 not found, 4 conflict, 5 unavailable, 1 internal).
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	if len(args) > 1 && args[0] == chroot.Inside {
		chroot.Enter(args[1:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: in, out: out, err: errOut}
	root := a.root()
	root.SetArgs(modern(args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if a.conn != nil {
		a.conn.Close()
	}
	if err == nil {
		return 0
	}
	if s := status(0); errors.As(err, &s) {
		return int(s)
	}
	fmt.Fprintln(errOut, "luna:", text(err))
	return exit(err)
}

// text is what a user reads of an error.
func text(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind != fault.Internal {
		return fmt.Sprintf("%s (%s)", err, f.Kind)
	}
	return err.Error()
}

func exit(err error) int { return fault.KindOf(err).Exit() }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "luna", Short: "bring up bare metal",
		Long: "luna describes a cluster, packs its images and tells how its nodes boot.\n" +
			"Every command is a request on the bus; `nats req luna.cmd.…` does the same.",
		SilenceErrors: true, SilenceUsage: true,
		Example: "  luna cluster init --frontend_address 10.30.255.254\n  luna node add -g compute\n  luna boot why node001",
	}
	f := root.PersistentFlags()
	f.StringVar(&a.url, "nats", env("LUNA_NATS", "nats://127.0.0.1:4222"), "`URL` of the bus (LUNA_NATS)")
	f.StringVar(&a.creds, "creds", defaultCreds(), "`file` with the operator's key (LUNA_CREDS)")
	f.StringVar(&a.output, "output", "table", "`form` of the answer: table, json or yaml")
	f.StringVar(&a.reason, "reason", "", "`text` to keep with the change")
	f.DurationVar(&a.timeout, "timeout", 30*time.Second, "how `long` to wait for an answer")
	root.SetGlobalNormalizationFunc(normalize)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.Invalidf("%w; `%s --help` tells of all flags", err, cmd.CommandPath())
	})
	root.AddCommand(a.clusterCommand(), a.networkCommand(), a.osimageCommand(), a.bmcsetupCommand(), a.switchCommand(), a.otherdevCommand(), a.groupCommand(), a.nodeCommand(),
		a.bootCommand(), a.discoverCommand(), a.leaseCommand(), a.historyCommand(), a.undoCommand(), a.jobCommand(), a.swarmCommand(),
		a.powerCommand(), a.exportCommand(), a.importCommand(), a.backupCommand(), a.restoreCommand())
	return root
}

func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// defaultCreds is the operator's key of an installed head, or that of a
// luna-head with its default data directory.
func defaultCreds() string {
	const installed = "/etc/luna/operator.creds"
	if v := os.Getenv("LUNA_CREDS"); v != "" {
		return v
	}
	if _, err := os.Stat(installed); err == nil {
		return installed
	}
	return "/var/lib/luna/keys/operator.creds"
}
