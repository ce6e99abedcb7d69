package kernel

import (
	"cmp"
	"strings"
)

// Compare orders kernel versions as cmp.Compare does: numbers by value, a number after a word, a release after its
// candidates (6.1-rc2 before 6.1), the longer one last.
func Compare(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = token(a)
		y, b = token(b)
		if c := compareTokens(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// token cuts the leading run of digits or letters off s, with the separators before it.
func token(s string) (first, rest string) {
	s = strings.TrimLeft(s, ".-_+~")
	if s == "" {
		return "", ""
	}
	end := strings.IndexFunc(s, func(r rune) bool { return isDigit(r) != isDigit(rune(s[0])) || strings.ContainsRune(".-_+~", r) })
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

func compareTokens(x, y string) int {
	if c := cmp.Compare(rank(x), rank(y)); c != 0 {
		return c
	}
	if rank(x) == number {
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Compare(len(x), len(y)); c != 0 {
			return c
		}
	}
	return strings.Compare(x, y)
}

const (
	candidate = iota
	nothing
	word
	number
)

func rank(token string) int {
	switch {
	case token == "":
		return nothing
	case isDigit(rune(token[0])):
		return number
	case token == "rc":
		return candidate
	}
	return word
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }
