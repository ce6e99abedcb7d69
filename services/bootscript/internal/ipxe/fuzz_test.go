package ipxe_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/services/bootscript/internal/ipxe"
)

// skeleton returns the commands of an iPXE script with their options, line by
// line, as iPXE finds them: words end at white space, && and || are words of
// their own, and a word that begins with # ends the line. How many settings are
// put in, and items of the menus' own, are told too.
func skeleton(script string) []string {
	var all []string
	for _, line := range strings.FieldsFunc(script, func(r rune) bool { return r == '\n' || r == '\r' }) {
		commands, command, options := "", true, false
		for w := range strings.FieldsSeq(line) {
			if strings.HasPrefix(w, "#") {
				commands += " #"
				break
			}
			joint := w == "&&" || w == "||"
			options = options && strings.ContainsRune("-.", rune(w[0]))
			if joint || command || options {
				commands += " " + word(w)
			}
			command, options = joint, command || options
		}
		all = append(all, commands+strings.Repeat(" ${", strings.Count(line, "${")))
	}
	return all
}

// word is a command, or that there is a label.
func word(w string) string {
	if strings.HasPrefix(w, ":") {
		return "label " + w
	}
	return w
}

// rendering is one way to make a script of words.
type rendering func(name, osimage, url, line, free string) (string, error)

var renderings = map[string]rendering{
	"menu": func(name, osimage, url, line, free string) (string, error) {
		return ipxe.Menu{URL: url, Head: name, Others: []string{osimage}, Wait: 10}.Script()
	},
	"choice": func(name, osimage, url, line, free string) (string, error) {
		return ipxe.Choice{URL: url, Page: 2, Pages: 3, Nodes: []ipxe.Node{{Name: name, MAC: free}, {Name: osimage, MAC: "52:54:00:00:00:01"}}}.Script()
	},
	"boot": func(name, osimage, url, line, free string) (string, error) {
		return ipxe.Boot{Node: name, Osimage: osimage, Kernel: url, Initrd: url, Again: []string{url, url}, Line: line}.Script()
	},
	"local": func(name, osimage, url, line, free string) (string, error) { return ipxe.Local{Node: name}.Script() },
	"trouble": func(name, osimage, url, line, free string) (string, error) {
		return ipxe.Trouble{Node: name, Reason: free, Again: []string{url}}.Script()
	},
	"syslinux": func(name, osimage, url, line, free string) (string, error) {
		return ipxe.Boot{Node: name, Osimage: osimage, Kernel: url, Initrd: url, Line: "root=luna " + line}.Syslinux()
	},
	"local syslinux": func(name, osimage, url, line, free string) (string, error) { return ipxe.Local{Node: name}.Syslinux() },
}

// FuzzScripts looks whether any words make a script that does something else
// than the same script of harmless words. A script that is refused does nothing.
func FuzzScripts(f *testing.F) {
	f.Add("node001", "compute", luna, "console=ttyS0", "52:54:00:00:00:01")
	for _, bad := range []string{"", " ", "a b", "a\nshell", "a\rshell", "\nshell", "a\x00b", "a\x0bshell", "a\x0cshell", "${net0/mac}", "$", "${", "#", "#a", "a#b", "a #b", "&&", "||",
		"a && shell", "a || shell", "a&&b", ":menu", ":failed", "-n", "--name", "goto", "é", "a\u0085b", "a\u00a0||", "\u2028shell", `"`, "'", "\\", "a\\\nshell", "{{.Node}}", "%0ashell",
		".next", strings.Repeat("x", 5000)} {
		f.Add(bad, "compute", luna, "quiet", "m")
		f.Add("node001", bad, luna, "quiet", "m")
		f.Add("node001", "compute", bad, "quiet", "m")
		f.Add("node001", "compute", luna, bad, "m")
		f.Add("node001", "compute", luna, "quiet", bad)
	}
	want := map[string][]string{}
	for what, render := range renderings {
		script, err := render("node001", "compute", luna, "quiet", "52:54:00:00:00:01")
		if err != nil {
			f.Fatal(err)
		}
		want[what] = skeleton(script)
	}
	f.Fuzz(func(t *testing.T, name, osimage, url, line, free string) {
		for what, render := range renderings {
			script, err := render(name, osimage, url, line, free)
			if err != nil {
				continue
			}
			if got := skeleton(script); !slices.Equal(got, want[what]) {
				t.Errorf("%s:\n%s\ndoes\n%s\ninstead of\n%s", what, script, strings.Join(got, "\n"), strings.Join(want[what], "\n"))
			}
			for i, r := range script {
				if r < ' ' && r != '\n' || r > '~' {
					t.Fatalf("%s: byte %d is %q", what, i, r)
				}
			}
		}
	})
}

// TestSkeletonSeesCommands keeps the judge honest.
func TestSkeletonSeesCommands(t *testing.T) {
	got := skeleton("#!ipxe\necho a && shell || # reboot\n:x\nset y ${net0/mac}\nitem a\rshell\n")
	want := []string{" #", " echo && shell || #", " label :x", " set ${", " item", " shell"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
