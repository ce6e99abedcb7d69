package luna

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/luna/internal/foreign"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{Use: "export [FILE]", Short: "write the whole inventory as one text", Args: cobra.MaximumNArgs(1),
		Long: "export writes cluster, networks, osimages, BMC set-ups, switches, devices, groups and nodes as one YAML,\n" +
			"to a file or to standard output. Passwords and communities stand as *** in it. import reads it.",
		Example: "  luna export inventory.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			a.patient(cmd)
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

// patience is how long a whole inventory may take unless told otherwise: ten thousand
// nodes on a busy head take longer than other commands.
const patience = 10 * time.Minute

func (a *app) patient(cmd *cobra.Command) {
	if !cmd.Flags().Changed("timeout") {
		a.timeout = patience
	}
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
	cmd := &cobra.Command{Use: "import FILE...", Short: "make the inventory what a text says, in one change",
		Long: "import finds objects by name: it makes those that are missing and sets the others to what the text says;\n" +
			"a field that the text does not say is as in a new object. What Luna finds out by itself (MACs, addresses,\n" +
			"kernels) and *** keep what is there. All of it is done, or nothing. - is standard input.\n\n" +
			"With --from it reads what other tools know; what it cannot take over is told line by line. luna1: the\n" +
			"collections of Luna 1.2 as mongoexport writes them, or a folder of them; warewulf: nodes.conf of version 4;\n" +
			"xcat: the tables nodelist, mac, hosts, noderes and networks as tabdump writes them.",
		Example: "  luna export inventory.yaml\n  luna import inventory.yaml --dry_run\n  luna import inventory.yaml --prune\n" +
			"  luna import --from warewulf /etc/warewulf/nodes.conf --print"}
	f := cmd.Flags()
	f.BoolVar(&i.dry, "dry_run", false, "only tell what would be changed, and what nodes would be answered differently")
	f.StringVar(&i.from, "from", "", "`tool` that the files are of: "+strings.Join(foreign.Names(), ", ")+" (default: luna export)")
	f.BoolVar(&i.print, "print", false, "only write the text that would be imported")
	f.BoolVar(&i.req.Prune, "prune", false, "delete what the text does not name")
	f.StringVar(&i.req.Head, "head", run.HeadName(""), "`name` of the head with the directories of new osimages, where the text says none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := a.importText(i, args)
		if err != nil {
			return err
		}
		if i.print {
			_, err := a.out.Write(text)
			return err
		}
		a.patient(cmd)
		return a.load(cmd.Context(), i, text)
	}
	return cmd
}

// importText reads what is to be imported.
func (a *app) importText(i *importing, args []string) ([]byte, error) {
	switch {
	case i.from != "":
		return a.foreignText(i, args)
	case len(args) != 1:
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

// foreignText makes a text of the files of another tool, and says what it leaves out.
func (a *app) foreignText(i *importing, args []string) ([]byte, error) {
	read := foreign.Tools[i.from]
	if read == nil {
		return nil, fault.Invalidf("--from %q: it must be one of %s", i.from, strings.Join(foreign.Names(), ", "))
	}
	files, err := foreignFiles(args)
	if err != nil {
		return nil, err
	}
	taken, err := read(files)
	if err != nil {
		return nil, err
	}
	for k := range taken.Osimages {
		if taken.Osimages[k].Head == "" {
			taken.Osimages[k].Head = i.req.Head
		}
	}
	for _, line := range taken.Left {
		a.note(line)
	}
	return taken.Encode()
}

// foreignFiles reads files, and those in folders.
func foreignFiles(args []string) ([]foreign.File, error) {
	if len(args) == 0 {
		return nil, fault.Invalidf("say the files, or the folder that they are in")
	}
	var files []foreign.File
	for _, arg := range args {
		names := []string{arg}
		if entries, err := os.ReadDir(arg); err == nil {
			names = nil
			for _, e := range entries {
				if e.Type().IsRegular() && slices.Contains([]string{".json", ".csv", ".conf", ".tab"}, filepath.Ext(e.Name())) {
					names = append(names, filepath.Join(arg, e.Name()))
				}
			}
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, fault.Invalidf("%w", err)
			}
			files = append(files, foreign.File{Name: name, Text: text})
		}
	}
	return files, nil
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
