package luna

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) historyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "history [COMMAND-ID | NAME]", Short: "who changed what, when and by which command",
		Long: "history lists the newest changes, those that touched a name, or one by its id. With --diff it tells how\n" +
			"fields became different: by one change, or from one revision up to a later one.",
		Example: "  luna history node042\n  luna history --diff 42\n  luna history --diff 42 57",
		Args:    cobra.MaximumNArgs(2)}
	compare := cmd.Flags().Bool("diff", false, "tell which fields the change of a revision changed, or all changes after it up to another: --diff REVISION [REVISION]")
	limit := cmd.Flags().Uint32("limit", 50, "how `many` changes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *compare:
			return a.historyDiff(cmd.Context(), args)
		case len(args) > 1:
			return fault.Invalidf("unexpected word %q: two revisions go with --diff", args[1])
		}
		req := &inventoryv1.HistoryRequest{Limit: *limit}
		if len(args) == 1 && len(args[0]) == 26 && strings.ToUpper(args[0]) == args[0] {
			req.CommandId = args[0]
		} else if len(args) == 1 {
			req.Name = args[0]
		}
		rep, err := ask(cmd.Context(), a, inventory, "history", "list", req, &inventoryv1.HistoryReply{})
		if err != nil {
			return err
		}
		if a.output != "table" {
			return a.print(rep)
		}
		t := a.newTable("revision", "when", "who", "command", "what", "reason", "id")
		for _, c := range rep.Changes {
			when, _ := time.Parse(time.RFC3339Nano, c.Change.Time)
			t.AppendRow([]any{c.Revision, when.Local().Format(time.DateTime), c.Change.Author, c.Change.Command, touchedText(c.Change.Touched), c.Change.Reason, c.Change.CommandId})
		}
		t.Render()
		return nil
	}
	return cmd
}

func (a *app) undoCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "undo REVISION | COMMAND-ID", Short: "take a change back", Args: exactly("REVISION"),
		Long: "undo writes what a change touched as it was before. It is refused when something of it was\n" +
			"changed since, or when something else depends on it. An undo is a change too, and can be undone.",
		Example: "  luna history\n  luna undo 42 --dry_run\n  luna undo 42"}
	dry := cmd.Flags().Bool("dry_run", false, "only tell what would be changed, and what nodes would be answered differently")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := &inventoryv1.UndoRequest{CommandId: args[0]}
		if n, err := strconv.ParseUint(args[0], 10, 64); err == nil {
			req = &inventoryv1.UndoRequest{Revision: n}
		}
		return a.change(cmd.Context(), *dry, inventory, "history", "undo", "", req)
	}
	return cmd
}

func touchedText(ts []*inventoryv1.Touch) string {
	var parts []string
	for _, t := range ts {
		if t.Name == "" {
			continue
		}
		sign := ""
		if t.Deleted {
			sign = "-"
		}
		parts = append(parts, sign+t.Noun+" "+t.Name)
		if len(parts) == 5 && len(ts) > 5 {
			parts = append(parts, fmt.Sprintf("and %d more", len(ts)-5))
			break
		}
	}
	return strings.Join(parts, ", ")
}
