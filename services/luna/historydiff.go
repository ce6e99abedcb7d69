package luna

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// historyDiff tells what one change changed, or all from one revision up to another.
func (a *app) historyDiff(ctx context.Context, args []string) error {
	req := &inventoryv1.DiffRequest{}
	var err error
	switch len(args) {
	case 0:
		return fault.Invalidf("which change? luna history --diff REVISION [REVISION]; `luna history` lists them")
	case 1:
		if req.Revision, err = strconv.ParseUint(args[0], 10, 64); err != nil {
			req.CommandId = args[0]
		}
	default:
		if req.Revision, err = revision(args[0]); err != nil {
			return err
		}
		if req.To, err = revision(args[1]); err != nil {
			return err
		}
	}
	rep, err := ask(ctx, a, inventory, "history", "diff", req, &inventoryv1.DiffReply{})
	if err != nil {
		return err
	}
	return a.printHistoryDiff(rep)
}

func revision(word string) (uint64, error) {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil || n == 0 {
		return 0, fault.Invalidf("%q is no revision: `luna history` lists them", word)
	}
	return n, nil
}

// printHistoryDiff writes a paragraph for each object.
func (a *app) printHistoryDiff(rep *inventoryv1.DiffReply) error {
	if a.output != "table" {
		return a.print(rep)
	}
	fmt.Fprintf(a.out, "from revision %d to %d\n", rep.From, rep.To)
	if len(rep.Objects) == 0 {
		fmt.Fprintln(a.out, "no field is different")
	}
	for _, o := range rep.Objects {
		if o.What == "lost" {
			fmt.Fprintf(a.out, "%s %s: what it was is kept no more\n", o.Noun, o.Name)
			continue
		}
		fmt.Fprintf(a.out, "%s %s %s\n", o.Noun, o.Name, o.What)
		for _, f := range o.Fields {
			fmt.Fprintln(a.out, "  "+fieldText(f))
		}
	}
	if rep.More > 0 {
		fmt.Fprintf(a.out, "and %d objects more: ask for fewer revisions at once\n", rep.More)
	}
	return nil
}

// fieldText tells how a field became different; texts of several lines are compared by line.
func fieldText(f *inventoryv1.FieldDiff) string {
	before, after := f.GetBefore(), f.GetAfter()
	if !strings.Contains(before, "\n") && !strings.Contains(after, "\n") {
		return fmt.Sprintf("%s: %s -> %s", f.Field, valueOf(f.Before), valueOf(f.After))
	}
	text := string(diff.Diff("before", []byte(before), "after", []byte(after)))
	_, text, _ = strings.Cut(text, "@@")
	return f.Field + ":\n    @@" + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}

// valueOf is a value as it is told: - when it is not set.
func valueOf(s *string) string {
	switch {
	case s == nil:
		return "-"
	case *s == "":
		return `""`
	}
	return *s
}
