package luna

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/luna/internal/backup"
)

func (a *app) restoreCommand() *cobra.Command {
	r := &backup.Restore{Note: a.note}
	cmd := &cobra.Command{Use: "restore FILE", Short: "bring back what a backup holds", Args: exactly("FILE"),
		Long: "restore checks the whole file and this head first, and changes nothing when something is in the way.\n" +
			"A restore that was broken off is run again. On a head where Luna does not run yet, which is how a lost\n" +
			"head is brought back, say --offline. Run it on the head as root.",
		Example: "  luna restore /root/luna-monday.backup --images --offline"}
	places(cmd, &r.Places)
	f := cmd.Flags()
	f.BoolVar(&r.Images, "images", false, "the payload in the backup too")
	f.BoolVar(&r.Overwrite, "overwrite", false, "delete streams first that hold messages")
	f.IntVar(&r.Replicas, "replicas", 0, "`copies` of each stream, when other than in the backup: 1, or 3 with three heads")
	offline := f.Bool("offline", false, "Luna does not run on this head: restore into its folders without a bus")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.File = args[0]
		stop := func() error { return nil }
		r.Connect = func(ctx context.Context, staged backup.Places) (*bus.Conn, error) {
			if !*offline {
				return a.online(ctx, r.Places, staged)
			}
			if err := backup.Free(a.url); err != nil {
				return nil, err
			}
			conn, end, err := r.Offline()
			if err == nil {
				stop = end
			}
			return conn, err
		}
		done, err := r.Run(cmd.Context())
		if err = errors.Join(err, stop()); err != nil {
			return rootOnly(err)
		}
		_, err = fmt.Fprintf(a.out, "restored %d of %d streams and %d of %d files of head %s as of %s\n", done.Restored, len(done.Streams),
			done.Files, files(done.Manifest), done.Head, done.Time.Local().Format(time.DateTime))
		return err
	}
	return cmd
}

// online connects with the bus that runs.
func (a *app) online(ctx context.Context, here, staged backup.Places) (*bus.Conn, error) {
	key, err := here.SetupKeyOr(staged)
	if err != nil {
		return nil, err
	}
	conn, err := a.dial(ctx, "setup", key)
	if err != nil {
		return nil, fault.Unavailablef("nothing was restored: %w; start the bus, or say --offline when Luna does not run on this head", err)
	}
	return conn, nil
}
