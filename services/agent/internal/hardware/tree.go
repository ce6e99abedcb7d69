package hardware

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// tree is the root below which /sys, /proc and /dev are.
type tree string

func (t tree) path(names ...string) string {
	return filepath.Join(append([]string{string(t)}, names...)...)
}

// raw returns a file's bytes; "" when it cannot be read, as the kernel answers
// for what a device does not have.
func (t tree) raw(names ...string) string {
	data, err := os.ReadFile(t.path(names...))
	if err != nil {
		return ""
	}
	return string(data)
}

// text returns a file's words.
func (t tree) text(names ...string) string { return clean(t.raw(names...)) }

func (t tree) number(names ...string) uint64 { return number(t.text(names...)) }

// number reads a decimal number; what is none, or negative, is 0.
func number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (t tree) hex(names ...string) uint64 {
	n, err := strconv.ParseUint(t.text(names...), 16, 64)
	if err != nil {
		return 0
	}
	return n
}

func (t tree) exists(names ...string) bool {
	_, err := os.Stat(t.path(names...))
	return err == nil
}

// list returns the names in a directory, sorted.
func (t tree) list(names ...string) []string {
	entries, err := os.ReadDir(t.path(names...))
	if err != nil {
		return nil
	}
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.Name()
	}
	return all
}

// target returns the last name of the path that a link leads to.
func (t tree) target(names ...string) string {
	to, err := os.Readlink(t.path(names...))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// longest is how many bytes of a text count: no maker needs more for a name.
const longest = 128

// clean makes one line that can be shown of what a device says of itself.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:longest], ""))
	}
	return text
}
