package ipxe

import (
	"fmt"
	"strings"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// MaxLine is the longest command line that an x86 kernel takes, in bytes.
const MaxLine = 2047

type word struct{ name, text string }

// check refuses what is not one harmless word: it may be no comment, no option,
// no label and no item of the menus' own either.
func check(words ...word) error {
	for _, w := range words {
		if w.text == "" || strings.ContainsRune("#-:.", rune(w.text[0])) || strings.ContainsAny(w.text, " \"'\\") || inventoryv1.CheckWords(w.name, w.text) != nil {
			return fmt.Errorf("%s %q cannot stand in a boot script", w.name, w.text)
		}
	}
	return nil
}

// CheckLine refuses a kernel command line that iPXE would read as more than
// arguments, or that is too long.
func CheckLine(line string) error {
	if len(line) > MaxLine {
		return fmt.Errorf("the kernel command line has %d bytes, more than %d", len(line), MaxLine)
	}
	return inventoryv1.CheckWords("the kernel command line", line)
}

// plain makes a sentence fit for echo.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune("$&|#", r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	return s[:min(len(s), 500)]
}
