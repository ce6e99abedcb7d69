package luna

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/luna/internal/backup"
)

func (a *app) backupCommand() *cobra.Command {
	b := &backup.Backup{Note: a.note}
	cmd := &cobra.Command{Use: "backup FILE", Short: "copy all that cannot be rebuilt into one file", Args: exactly("FILE"),
		Long: "backup copies the streams of the bus, the keys and configuration of this head and what its services\n" +
			"must still tell the bus into one file. Luna goes on running. Run it on the head as root, and keep\n" +
			"the file as safe as the keys that are in it.",
		Example: "  luna backup /root/luna-monday.backup --images"}
	places(cmd, &b.Places)
	f := cmd.Flags()
	f.BoolVar(&b.Images, "images", false, "the payload of current releases too")
	f.StringSliceVar(&b.Without, "without", nil, "`service` whose outbox is left out, as it does not run")
	f.StringVar(&b.Head, "head", run.HeadName(""), "`name` of this head")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		b.File, b.Timeout = args[0], a.timeout
		if err := a.connectAsBoth(cmd, b); err != nil {
			return err
		}
		defer b.Setup.Close()
		ctx := bus.WithCall(cmd.Context(), bus.Call{Author: author(), Reason: a.reason})
		m, err := b.Run(ctx)
		if err != nil {
			return rootOnly(err)
		}
		info, err := os.Stat(b.File)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s: %d streams, %d files, %s\n", b.File, len(m.Streams), files(m), size(info.Size()))
		return err
	}
	return cmd
}

// connectAsBoth connects as the operator, who sends commands, and as setup, who copies streams.
func (a *app) connectAsBoth(cmd *cobra.Command, b *backup.Backup) error {
	key, err := b.SetupKey()
	if err != nil {
		return rootOnly(err)
	}
	a.credsBelow(cmd, b.Places)
	if b.Operator, err = a.connect(cmd.Context()); err != nil {
		return err
	}
	b.Setup, err = a.dial(cmd.Context(), "setup", key)
	return rootOnly(err)
}

// credsBelow looks for the operator's key in the head's folders, unless one was named.
func (a *app) credsBelow(cmd *cobra.Command, p backup.Places) {
	if cmd.Flags().Changed("creds") || os.Getenv("LUNA_CREDS") != "" {
		return
	}
	for _, file := range []string{filepath.Join(p.Etc, "operator.creds"), filepath.Join(p.Data, "keys", "operator.creds")} {
		if _, err := os.Stat(file); err == nil {
			a.creds = file
			return
		}
	}
}

// places adds the flags that say where things lie on the head.
func places(cmd *cobra.Command, p *backup.Places) {
	cmd.Flags().StringVar(&p.Data, "data", "/var/lib/luna", "`directory` of the services' folders")
	cmd.Flags().StringVar(&p.Etc, "etc", "/etc/luna", "`directory` of keys and configuration")
}

// exactly takes one argument.
func exactly(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fault.Invalidf("say one %s, not %d", what, len(args))
		}
		return nil
	}
}

// files counts the parts of a backup that are no streams.
func files(m *backup.Manifest) int { return len(m.Parts) - 2*len(m.Streams) }

// rootOnly says how to be allowed.
func rootOnly(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fault.Unavailablef("run it as root: %w", err)
	}
	return err
}

// note tells something that is no error.
func (a *app) note(text string) { fmt.Fprintln(a.err, "luna:", text) }
