package luna

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write FLAGS.md anew")

// original is a line of the original's list of flags.
type original struct{ noun, verb, flag, takes, required string }

// originals reads the list of the original's verbs and flags.
func originals(t *testing.T) []original {
	t.Helper()
	data, err := os.ReadFile("testdata/original-flags.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var all []original
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		columns := append(strings.Split(line, "\t"), "", "", "")
		all = append(all, original{columns[0], columns[1], columns[2], columns[3], columns[4]})
	}
	if len(all) < 200 {
		t.Fatalf("only %d flags", len(all))
	}
	return all
}

// TestFlagsOfTheOriginal looks for every flag of the original's command line,
// in all its spellings and with a value or without one.
func TestFlagsOfTheOriginal(t *testing.T) {
	for _, o := range originals(t) {
		cmd := command(o)
		if cmd == nil {
			t.Errorf("no %s %s", o.noun, o.verb)
			continue
		}
		for _, spelling := range strings.Fields(o.flag) {
			if spelling[0] == '<' {
				continue // the name as the first word
			}
			f := lookUp(cmd, o.noun, o.verb, spelling)
			switch {
			case f == nil:
				t.Errorf("%s %s has no %s", o.noun, o.verb, spelling)
			case o.takes == "switch" && f.NoOptDefVal == "":
				t.Errorf("%s %s %s wants a value", o.noun, o.verb, spelling)
			case (o.takes == "text" || o.takes == "int") && f.NoOptDefVal != "":
				t.Errorf("%s %s %s takes no value", o.noun, o.verb, spelling)
			}
		}
	}
}

// TestFlagTable compares FLAGS.md with what the flags of the command line do;
// -update writes it anew.
func TestFlagTable(t *testing.T) {
	table := "# The flags of the original\n\nWhat each flag of Luna 1.2 does here; `TestFlagTable -update` writes this page from the command line itself.\n" +
		"A field in brackets is what the flag sets in the request.\n\n| command | flag | here |\n|---|---|---|\n"
	for _, o := range originals(t) {
		table += fmt.Sprintf("| `%s %s` | %s | %s |\n", o.noun, o.verb, code(o.flag), meaning(o))
	}
	if *update {
		if err := os.WriteFile("FLAGS.md", []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("FLAGS.md")
	if err != nil || string(kept) != table {
		t.Errorf("FLAGS.md is not what the command line does (%v): run this test with -update", err)
	}
}

// meaning tells what a flag of the original does here.
func meaning(o original) string {
	cmd := command(o)
	switch {
	case cmd == nil:
		return "is not there"
	case o.flag == "":
		return cmd.Short
	case o.flag[0] == '<':
		return "the same; `--name`/`-n` says it too"
	}
	f := lookUp(cmd, o.noun, o.verb, strings.Fields(o.flag)[0])
	if f == nil {
		return "is not there"
	}
	if note := f.Annotations[instead]; note != nil {
		return "nothing: " + note[0]
	}
	text := strings.ReplaceAll(strings.ReplaceAll(f.Usage, "`", ""), "|", "\\|")
	if field := f.Annotations[sets]; field != nil {
		parts := strings.Split(field[0], ".")
		text += " (`" + strings.Join(parts[len(parts)-2:], ".") + "`)"
	}
	return text
}

// code writes each spelling of a flag as code.
func code(spellings string) string {
	var all []string
	for _, s := range strings.Fields(spellings) {
		all = append(all, "`"+s+"`")
	}
	return strings.Join(all, " ")
}

// command finds the command of a verb; nil when there is none.
func command(o original) *cobra.Command {
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}
	cmd, _, err := a.root().Find([]string{o.noun, o.verb})
	if err != nil || cmd.Name() != o.verb {
		return nil
	}
	return cmd
}

// lookUp finds a flag as the command line does.
func lookUp(cmd *cobra.Command, noun, verb, spelling string) *pflag.Flag {
	spelling = modern([]string{noun, verb, spelling})[2]
	if name, ok := strings.CutPrefix(spelling, "--"); ok {
		return cmd.Flags().Lookup(name)
	}
	return cmd.Flags().ShorthandLookup(strings.TrimPrefix(spelling, "-"))
}

// TestRequiredFlagsAreNamed leaves out what the original wanted: the error names
// the flag, and the right form.
func TestRequiredFlagsAreNamed(t *testing.T) {
	wanted := map[string][]original{}
	for _, o := range originals(t) {
		if o.required == "required" {
			wanted[o.noun+" "+o.verb] = append(wanted[o.noun+" "+o.verb], o)
		}
	}
	for verb, flags := range wanted {
		for _, left := range flags {
			args, name := strings.Fields(verb), strings.Fields(left.flag)[0]
			for _, o := range flags {
				if o.flag == left.flag {
					continue
				}
				if o.flag[0] != '<' {
					args = append(args, strings.Fields(o.flag)[0])
				}
				args = append(args, "1")
			}
			if name == "--prefix" || verb == "node change" || verb == "node delete" {
				continue // the prefix may stand behind the network, and nodes are named in other ways too
			}
			want := "`" + firstExample(command(left)) + "`"
			if name == "<name>" || name == "--name" {
				name, want = "--name", "say a name"
			}
			var said strings.Builder
			if status := Main(append(args, "--nats", "nats://127.0.0.1:1", "--creds", "/nonexistent"), strings.NewReader(""), io.Discard, &said); status != 2 ||
				!strings.Contains(said.String(), name) || !strings.Contains(said.String(), want) && !regexp.MustCompile(name+" [A-Z]{2}").MatchString(said.String()) {
				t.Errorf("luna %s: status %d, %s, and not %s", strings.Join(args, " "), status, said.String(), want)
			}
		}
	}
}
