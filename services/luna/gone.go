package luna

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// gone is a flag of the original that means nothing here: it is taken, and a
// note says what has its place.
type gone struct {
	name   string
	toggle bool // it takes no value
	note   string
}

// noteFlags puts such flags on a command; what it returns says the notes of
// those that were given, and tells whether there were any.
func noteFlags(cmd *cobra.Command, flags []gone) func(a *app) bool {
	for _, g := range flags {
		if g.toggle {
			cmd.Flags().Bool(g.name, false, "taken, and does nothing: "+g.note)
		} else {
			cmd.Flags().String(g.name, "", "taken, and does nothing: "+g.note)
		}
		note(cmd, g.name, instead, g.note)
	}
	return func(a *app) bool {
		said := false
		for _, g := range flags {
			if cmd.Flags().Changed(g.name) {
				fmt.Fprintf(a.err, "luna: --%s does nothing: %s\n", g.name, g.note)
				said = true
			}
		}
		return said
	}
}

// anyField tells whether a flag was given that says something of the object.
func anyField(cmd *cobra.Command, v verb) bool {
	none := map[string]bool{"name": true, "dry_run": true}
	for _, g := range v.gone {
		none[g.name] = true
	}
	any := len(v.gone) == 0 || v.verb != "change"
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { any = any || f.Changed && !none[f.Name] })
	return any
}
