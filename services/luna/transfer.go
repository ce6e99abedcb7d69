package luna

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{Use: "export [FILE]", Short: "write the whole inventory as one text", Args: cobra.MaximumNArgs(1),
		Long: "export writes cluster, networks, osimages, BMC set-ups, switches, devices, groups and nodes as one YAML,\n" +
			"to a file or to standard output. Passwords and communities stand as *** in it. import reads it.",
		Example: "  luna export inventory.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.exported(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "-" {
				_, err = a.out.Write(text)
				return err
			}
			return os.WriteFile(args[0], text, 0o644)
		}}
}

// exported returns the text of the inventory.
func (a *app) exported(ctx context.Context) ([]byte, error) {
	rep, err := ask(ctx, a, inventory, "all", "export", &inventoryv1.ExportRequest{}, &inventoryv1.ExportReply{})
	if err != nil {
		return nil, err
	}
	a.warnOld(rep.MayBeOld)
	if rep.Object == "" {
		return []byte(rep.Yaml), nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	store, err := a.conn.JS.ObjectStore(ctx, subject.Inputs)
	if err != nil {
		return nil, fault.Unavailablef("bucket %s cannot be opened: %w", subject.Inputs, err)
	}
	text, err := store.GetBytes(ctx, rep.Object)
	if err != nil {
		return nil, fault.Unavailablef("object %s cannot be read: %w", rep.Object, err)
	}
	a.remove(ctx, store, rep.Object)
	return text, nil
}

// remove takes an object away that nobody needs any more; left alone it would go after a day.
func (a *app) remove(ctx context.Context, store jetstream.ObjectStore, name string) {
	if err := store.Delete(ctx, name); err != nil {
		a.note(fmt.Sprintf("object %s stays in bucket %s for a day: %v", name, subject.Inputs, err))
	}
}

// importing is what the flags of import say.
type importing struct {
	req   inventoryv1.ImportRequest
	from  string
	dry   bool
	print bool
}

func (a *app) importCommand() *cobra.Command {
	i := &importing{}
	cmd := &cobra.Command{Use: "import FILE", Short: "make the inventory what a text says, in one change",
		Long: "import finds objects by name: it makes those that are missing and sets the others to what the text says;\n" +
			"a field that the text does not say is as in a new object. What Luna finds out by itself (MACs, addresses,\n" +
			"kernels) and *** keep what is there. All of it is done, or nothing. - is standard input.",
		Example: "  luna export inventory.yaml\n  luna import inventory.yaml --dry_run\n  luna import inventory.yaml --prune"}
	f := cmd.Flags()
	f.BoolVar(&i.dry, "dry_run", false, "only tell what would be changed, and what nodes would be answered differently")
	f.BoolVar(&i.req.Prune, "prune", false, "delete what the text does not name")
	f.StringVar(&i.req.Head, "head", run.HeadName(""), "`name` of the head with the directories of new osimages, where the text says none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := a.importText(i, args)
		if err != nil {
			return err
		}
		return a.load(cmd.Context(), i, text)
	}
	return cmd
}

// importText reads what is to be imported.
func (a *app) importText(_ *importing, args []string) ([]byte, error) {
	if len(args) != 1 {
		return nil, fault.Invalidf("say one FILE, not %d", len(args))
	}
	if args[0] == "-" {
		return io.ReadAll(a.in)
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	return text, nil
}

// load sends a text and says what it did, or would do.
func (a *app) load(ctx context.Context, i *importing, text []byte) error {
	asking := *a
	asking.dryRun = i.dry
	if _, err := asking.connect(ctx); err != nil {
		return err
	}
	a.conn = asking.conn
	i.req.Yaml = string(text)
	if len(text) > blueprint.MostInMessage {
		store, err := a.conn.JS.ObjectStore(ctx, subject.Inputs)
		if err != nil {
			return fault.Unavailablef("not done: bucket %s cannot be opened: %w", subject.Inputs, err)
		}
		info, err := store.Put(ctx, jetstream.ObjectMeta{Name: "import-" + bus.NewID()}, bytes.NewReader(text))
		if err != nil {
			return fault.Unavailablef("not done: the text cannot be stored in bucket %s: %w", subject.Inputs, err)
		}
		i.req.Yaml, i.req.Object = "", info.Name
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.timeout)
			defer cancel()
			a.remove(ctx, store, info.Name)
		}()
	}
	rep, err := ask(ctx, &asking, inventory, "all", "import", &i.req, &inventoryv1.ChangeReply{})
	if err != nil {
		return err
	}
	return a.printImport(rep)
}

func (a *app) printImport(rep *inventoryv1.ChangeReply) error {
	if a.output != "table" {
		return a.print(rep)
	}
	switch {
	case rep.DryRun:
		a.printPlan(rep)
	case rep.Revision == 0:
		fmt.Fprintln(a.out, "nothing to change: it is so already")
	}
	for _, n := range rep.Notes {
		fmt.Fprintln(a.out, n)
	}
	if rep.Revision != 0 {
		fmt.Fprintf(a.out, "done as revision %d\n", rep.Revision)
	}
	return nil
}
