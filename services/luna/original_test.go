package luna

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// later are verbs that this command line does not have yet.
var later = map[string]bool{"osimage grab": true}

// TestFlagsOfTheOriginal looks for every flag of the original's command line,
// in all its spellings and with a value or without one.
func TestFlagsOfTheOriginal(t *testing.T) {
	data, err := os.ReadFile("testdata/original-flags.tsv")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")[1:]
	for _, line := range lines {
		columns := append(strings.Split(line, "\t"), "", "")
		noun, verb, flag, takes := columns[0], columns[1], columns[2], columns[3]
		if later[noun+" "+verb] {
			continue
		}
		cmd, _, err := a.root().Find([]string{noun, verb})
		if err != nil || cmd.Name() != verb {
			t.Errorf("no %s %s: %v", noun, verb, err)
			continue
		}
		for _, spelling := range strings.Fields(flag) {
			if spelling[0] == '<' {
				continue // the name as the first word
			}
			f := lookUp(cmd, noun, verb, spelling)
			switch {
			case f == nil:
				t.Errorf("%s %s has no %s", noun, verb, spelling)
			case takes == "switch" && f.NoOptDefVal == "":
				t.Errorf("%s %s %s wants a value", noun, verb, spelling)
			case (takes == "text" || takes == "int") && f.NoOptDefVal != "":
				t.Errorf("%s %s %s takes no value", noun, verb, spelling)
			}
		}
	}
	if len(lines) < 200 {
		t.Errorf("only %d flags", len(lines))
	}
}

// lookUp finds a flag as the command line does.
func lookUp(cmd *cobra.Command, noun, verb, spelling string) *pflag.Flag {
	spelling = modern([]string{noun, verb, spelling})[2]
	if name, ok := strings.CutPrefix(spelling, "--"); ok {
		return cmd.Flags().Lookup(name)
	}
	return cmd.Flags().ShorthandLookup(strings.TrimPrefix(spelling, "-"))
}
