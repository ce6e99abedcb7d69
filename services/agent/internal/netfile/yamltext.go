package netfile

import (
	"fmt"
	"strings"
)

// yamlText is YAML of nested mappings that grows line by line.
type yamlText struct {
	b     strings.Builder
	depth int
}

// in writes a key and, deeper, what body adds; nothing when body adds nothing.
func (y *yamlText) in(key string, body func()) {
	before := y.b.String()
	y.line(key + ":")
	with := y.b.Len()
	y.depth++
	body()
	y.depth--
	if y.b.Len() == with {
		y.b.Reset()
		y.b.WriteString(before)
	}
}

// add writes a key with a scalar or a list that is YAML already.
func (y *yamlText) add(key, value string) { y.line(key + ": " + value) }

// item writes an entry of the list that the key before is.
func (y *yamlText) item(value string) { y.line("- " + value) }

func (y *yamlText) line(text string) {
	y.b.WriteString(strings.Repeat("  ", y.depth) + text + "\n")
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

// list writes texts as one line.
func list(all []string) string {
	var out []string
	for _, s := range all {
		out = append(out, quoted(s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}
