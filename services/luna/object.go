package luna

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

const inventory = "inventory"

// nounCommand is the parent of a noun's verbs.
func nounCommand(noun catalog.Noun, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: string(noun), Short: short, RunE: parent}
	cmd.AddCommand(verbs...)
	return cmd
}

// parent runs a command that only has others: alone it tells of them, and a word
// that is none of them is an error.
func parent(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var verbs []string
	for _, c := range cmd.Commands() {
		verbs = append(verbs, c.Name())
	}
	return fault.Invalidf("%s has no %q; it has %s", cmd.CommandPath(), args[0], strings.Join(verbs, ", "))
}

// verb describes a changing command of the inventory.
type verb struct {
	noun    catalog.Noun
	verb    string
	short   string
	example string
	// service is who does it; the inventory when empty.
	service string
	request proto.Message
	fields  []field
	// gone are flags of the original that mean nothing here.
	gone []gone
	// named is whether it takes a name, and needsName whether it must have one.
	named, needsName bool
	// texts are fields that are edited.
	texts []longText
	// more adds flags of its own, and returns what to do to the request before it is sent.
	more func(cmd *cobra.Command) func(ctx context.Context, req proto.Message) error
}

// changing makes the command of a verb: flags to request, request to reply.
func (a *app) changing(v verb) *cobra.Command {
	cmd := &cobra.Command{Use: v.verb, Short: v.short, Example: v.example}
	if v.named {
		cmd.Use += " NAME"
		cmd.ValidArgsFunction = a.completeNames(v.noun)
	}
	name := func([]string) (string, error) { return "", nil }
	if v.named {
		name = nameFlag(cmd, v.needsName)
	} else {
		cmd.Args = cobra.NoArgs
	}
	flags := bind(cmd, v.request, v.fields)
	a.completeFlags(cmd, flags)
	texts := a.bindTexts(cmd, v.noun, v.request, v.texts)
	notes := noteFlags(cmd, v.gone)
	dry := cmd.Flags().Bool("dry_run", false, "only tell what would be changed, and what nodes would be answered differently")
	var more func(context.Context, proto.Message) error
	if v.more != nil {
		more = v.more(cmd)
	}
	service := v.service
	if service == "" {
		service = inventory
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := proto.Clone(v.request)
		if err := fill(cmd, req, flags); err != nil {
			return err
		}
		n, err := name(args)
		if err != nil {
			return err
		}
		if n != "" {
			set(req, "name", protoreflect.ValueOfString(n))
		}
		if err := texts(cmd.Context(), req); err != nil {
			return err
		}
		if notes(a) && !anyField(cmd, v) {
			return nil
		}
		if more != nil {
			if err := more(cmd.Context(), req); err != nil {
				return err
			}
		}
		return a.change(cmd.Context(), *dry, service, string(v.noun), v.verb, v.noun, req)
	}
	return cmd
}

// change sends a changing command and says what it did, or would do: of the
// objects only those of a noun, or all when there is none.
func (a *app) change(ctx context.Context, dry bool, service, noun, verb string, only catalog.Noun, req proto.Message) error {
	asking := *a
	asking.dryRun = dry
	rep, err := ask(ctx, &asking, service, noun, verb, req, &inventoryv1.ChangeReply{})
	a.conn = asking.conn
	if err != nil {
		return err
	}
	return a.printChange(only, rep)
}

// printChange says what a change did.
func (a *app) printChange(noun catalog.Noun, rep *inventoryv1.ChangeReply) error {
	if a.output != "table" {
		return a.print(rep)
	}
	if rep.DryRun {
		a.printPlan(rep)
		return nil
	}
	if rep.Revision == 0 {
		fmt.Fprintln(a.out, "nothing to change:", cmp.Or(strings.Join(rep.Notes, "; "), "it is so already"))
		return nil
	}
	shown := 0
	for _, o := range rep.Objects {
		n, m := catalog.Unwrap(o)
		if noun != "" && n != noun && len(rep.Objects) > 1 {
			continue
		}
		fmt.Fprintf(a.out, "%s %s%s\n", n, catalog.NameOf(m), addressText(o, rep.Names))
		shown++
	}
	if shown == 0 || shown == 100 {
		fmt.Fprintf(a.out, "done as revision %d\n", rep.Revision)
	}
	return nil
}

// printPlan says what a change would do.
func (a *app) printPlan(rep *inventoryv1.ChangeReply) {
	if len(rep.Touched) == 0 {
		fmt.Fprintln(a.out, "nothing would be changed: it is so already")
		return
	}
	objects := map[string]string{}
	for _, o := range rep.Objects {
		noun, m := catalog.Unwrap(o)
		objects[string(noun)+" "+catalog.NameOf(m)] = addressText(o, rep.Names)
	}
	for _, t := range rep.Touched {
		what := t.Noun + " " + t.Name
		if t.Deleted {
			fmt.Fprintf(a.out, "would delete %s\n", what)
		} else {
			fmt.Fprintf(a.out, "would write %s%s\n", what, objects[what])
		}
	}
	if len(rep.Effects) == 0 {
		return
	}
	t := a.newTable("node", "answer", "now", "then")
	for _, e := range rep.Effects {
		t.AppendRow([]any{e.Node, e.Service, e.Before, e.After})
	}
	t.Render()
}

func addressText(o *inventoryv1.Object, names map[string]string) string {
	n := o.GetNode()
	if n == nil || len(n.Addresses) == 0 {
		return ""
	}
	var parts []string
	for _, a := range n.Addresses {
		parts = append(parts, fmt.Sprintf("%s %s (%s)", a.Interface, a.Address, names[a.NetworkId]))
	}
	return ": " + strings.Join(parts, ", ")
}

// renaming and deleting are the same for all nouns.
func (a *app) renaming(noun catalog.Noun) *cobra.Command {
	return a.changing(verb{noun: noun, verb: "rename", short: "give it another name", named: true, needsName: true,
		request: &inventoryv1.RenameRequest{}, fields: []field{{name: "newname", usage: "the new `name`", needed: true}},
		example: fmt.Sprintf("  luna %s rename old --newname new", noun)})
}

func (a *app) deleting(noun catalog.Noun) *cobra.Command {
	return a.changing(verb{noun: noun, verb: "delete", short: "remove it; files are never touched", named: true, needsName: true,
		request: &inventoryv1.DeleteRequest{}, example: fmt.Sprintf("  luna %s delete NAME", noun)})
}

// part is a field that show prints alone when its flag is given.
type part struct{ name, short, field string }

// showing makes the show command of a noun; the comment is a part of each.
func (a *app) showing(noun catalog.Noun, more func(cmd *cobra.Command) func(ctx context.Context, name string) (bool, error), parts ...part) *cobra.Command {
	cmd := &cobra.Command{Use: "show NAME", Short: "tell all about one", ValidArgsFunction: a.completeNames(noun)}
	name := nameFlag(cmd, noun != catalog.Cluster)
	raw := cmd.Flags().BoolP("raw", "R", false, "print JSON")
	parts = append(parts, part{"comment", "C", "comment"})
	only := bindParts(cmd, parts)
	var extra func(context.Context, string) (bool, error)
	if more != nil {
		extra = more(cmd)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := name(args)
		if err != nil {
			return err
		}
		if extra != nil {
			if done, err := extra(cmd.Context(), n); done || err != nil {
				return err
			}
		}
		rep, err := ask(cmd.Context(), a, inventory, string(noun), "show", &inventoryv1.ShowRequest{Name: n}, &inventoryv1.ShowReply{})
		if err != nil {
			return err
		}
		if *raw {
			a.output = "json"
		}
		a.warnOld(rep.MayBeOld)
		if fields := only(); len(fields) > 0 {
			a.printParts(rep.Object, rep.Names, fields)
			return nil
		}
		return a.printObject(rep.Object, rep.Names)
	}
	return cmd
}

// bindParts adds the flags of parts, and returns which fields they ask for.
func bindParts(cmd *cobra.Command, parts []part) func() []string {
	wanted := make([]*bool, len(parts))
	for i, p := range parts {
		wanted[i] = cmd.Flags().BoolP(p.name, p.short, false, "only the "+p.name)
	}
	return func() (fields []string) {
		for i, p := range parts {
			if *wanted[i] {
				fields = append(fields, p.field)
			}
		}
		return fields
	}
}

// printParts writes fields of an object as they are.
func (a *app) printParts(o *inventoryv1.Object, names map[string]string, fields []string) {
	_, m := catalog.Unwrap(o)
	r := m.ProtoReflect()
	for _, name := range fields {
		f := r.Descriptor().Fields().ByName(protoreflect.Name(name))
		value := valueText(f, r.Get(f), names)
		if value != "" && !strings.HasSuffix(value, "\n") {
			value += "\n"
		}
		fmt.Fprint(a.out, value)
	}
}

func (a *app) warnOld(old bool) {
	if old {
		fmt.Fprintln(a.err, "luna: the bus keeps nothing just now; this answer may be old")
	}
}

// listing makes the list command of a noun.
func (a *app) listing(noun catalog.Noun) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "list all", Args: cobra.NoArgs}
	group := new(string)
	if noun == catalog.Node {
		group = cmd.Flags().StringP("group", "g", "", "only nodes of this `group`")
	}
	one := cmd.Flags().BoolP("one_line", "1", false, "only names, one a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, names, err := a.list(cmd.Context(), noun, *group)
		if err != nil {
			return err
		}
		return a.printList(noun, all, names, *one)
	}
	return cmd
}

// list reads all pages.
func (a *app) list(ctx context.Context, noun catalog.Noun, group string) ([]*inventoryv1.Object, map[string]string, error) {
	var (
		all   []*inventoryv1.Object
		names = map[string]string{}
		after string
	)
	for range 10000 {
		rep, err := ask(ctx, a, inventory, string(noun), "list", &inventoryv1.ListRequest{Group: group, After: after}, &inventoryv1.ListReply{})
		if err != nil {
			return nil, nil, err
		}
		all = append(all, rep.Objects...)
		for id, n := range rep.Names {
			names[id] = n
		}
		if rep.Next == "" {
			a.warnOld(rep.MayBeOld)
			return all, names, nil
		}
		after = rep.Next
	}
	return nil, nil, fault.Unavailablef("the list does not end")
}
