package netfile

import (
	"path"
	"slices"
	"strings"
)

// sourced returns the main interfaces file such that it reads ours.
func sourced(text string) string {
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		for _, pattern := range w[1:] {
			if !path.IsAbs(pattern) {
				pattern = path.Join("/etc/network", pattern)
			}
			if ok, err := path.Match(pattern, "/"+ourFile); w[0] == "source" && ok && err == nil {
				return text
			}
			if w[0] == "source-directory" && path.Clean(pattern) == "/"+interfacesD {
				return text
			}
		}
	}
	if text == "" {
		text = "auto lo\niface lo inet loopback\n"
	}
	return strings.TrimRight(text, "\n") + "\n\nsource /" + ourFile + "\n"
}

// disown makes comments of what an interfaces file says about the named interfaces.
func disown(text string, names map[string]bool) string {
	var b strings.Builder
	var ours, continued bool
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if !continued && len(w) > 0 && isKeyword(w[0]) {
			ours = (w[0] == "iface" || w[0] == "mapping") && len(w) > 1 && names[w[1]]
			if w[0] == "auto" || strings.HasPrefix(w[0], "allow-") {
				line = without(line, w, names)
			}
		}
		continued = strings.HasSuffix(strings.TrimRight(line, "\n"), "\\")
		if ours && len(w) > 0 && w[0][0] != '#' {
			b.WriteString("# luna: ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// without takes the names out of a line such as "auto lo eth0".
func without(line string, w []string, names map[string]bool) string {
	kept := slices.DeleteFunc(slices.Clone(w), func(word string) bool { return names[word] })
	switch len(kept) {
	case len(w):
		return line
	case 1:
		return "# luna: " + line
	}
	return strings.Join(kept, " ") + "\n"
}

// isKeyword tells whether a line that begins with word begins a new part of an interfaces file.
func isKeyword(word string) bool {
	switch word {
	case "iface", "mapping", "auto", "source", "source-directory", "rename", "template", "no-auto-down", "no-scripts":
		return true
	}
	return strings.HasPrefix(word, "allow-")
}
