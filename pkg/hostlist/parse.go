package hostlist

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/luna-hpc/luna/pkg/fault"
)

// parser reads one list from left to right.
type parser struct {
	list string
	at   int
}

func parse(list string) ([]host, error) {
	p := &parser{list: list}
	var all []host
	for {
		h, err := p.host()
		if err != nil {
			return nil, err
		}
		all = append(all, h)
		if p.at == len(p.list) {
			return all, nil
		}
		p.at++ // the comma
	}
}

// host reads an entry up to the next comma outside brackets.
func (p *parser) host() (host, error) {
	h, start := host{}, p.at
	for {
		text := p.text()
		if len(h.brackets) > 0 && p.peek() == '[' && strings.Trim(text, "0123456789") == "" {
			return h, p.wrong(p.at, "two brackets need a text between them")
		}
		h.texts = append(h.texts, text)
		if p.peek() != '[' {
			break
		}
		b, err := p.bracket()
		if err != nil {
			return h, err
		}
		h.brackets = append(h.brackets, b)
	}
	if p.at < len(p.list) && p.peek() != ',' {
		return h, p.wrong(p.at, "%s", p.unexpected())
	}
	if p.at == start {
		return h, p.wrong(p.at, "a name is missing")
	}
	return h, nil
}

func (p *parser) unexpected() string {
	switch p.list[p.at] {
	case ']':
		return "] without ["
	case ' ', '\t':
		return "a space; lists have commas between names"
	}
	return fmt.Sprintf("%q is in no name", []rune(p.list[p.at:])[0])
}

// text reads what may be in a name.
func (p *parser) text() string {
	start := p.at
	for p.at < len(p.list) && inName(p.list[p.at]) {
		p.at++
	}
	return p.list[start:p.at]
}

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '-' || c == '_' || c == '.'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// peek returns the next byte; 0 at the end.
func (p *parser) peek() byte {
	if p.at == len(p.list) {
		return 0
	}
	return p.list[p.at]
}

// bracket reads from [ to ].
func (p *parser) bracket() ([]span, error) {
	open := p.at
	p.at++
	inside, _, closed := strings.Cut(p.list[p.at:], "]")
	if !closed {
		return nil, p.wrong(open, "[ without ]")
	}
	if i := strings.IndexByte(inside, '['); i >= 0 {
		return nil, p.wrong(p.at+i, "a bracket in a bracket")
	}
	var spans []span
	for _, item := range strings.Split(inside, ",") {
		s, err := p.span(item)
		if err != nil {
			return nil, err
		}
		spans = append(spans, s)
		p.at += len(item) + 1 // the comma or the ]
	}
	return spans, nil
}

// span reads a number or a range at the present place.
func (p *parser) span(item string) (span, error) {
	low, high, isRange := strings.Cut(item, "-")
	if !isRange {
		high = low
	}
	for _, n := range []string{low, high} {
		switch {
		case item == "":
			return span{}, p.wrong(p.at, "a number is missing in the bracket")
		case n == "" || strings.TrimLeft(n, "0123456789") != "":
			return span{}, p.wrong(p.at, "%q is no number and no range such as 001-003", item)
		case len(n) > maxDigits:
			return span{}, p.wrong(p.at, "a number of more than %d digits", maxDigits)
		}
	}
	s := span{low: number(low), high: number(high)}
	if padded(low) || padded(high) {
		s.width = len(low)
	}
	switch {
	case s.low > s.high:
		return s, p.wrong(p.at, "the range %s runs backwards", item)
	case s.width > 0 && len(low) != len(high):
		return s, p.wrong(p.at, "the ends of the range %s are not equally wide, as in 001-010", item)
	}
	return s, nil
}

func number(digits string) uint64 {
	n, _ := strconv.ParseUint(digits, 10, 64) // checked before
	return n
}

// padded says whether a number is filled with zeros.
func padded(digits string) bool { return len(digits) > 1 && digits[0] == '0' }

// wrong is an error at a place of the list.
func (p *parser) wrong(at int, format string, args ...any) error {
	return fault.Invalidf("host list %s, character %d: %s", short(p.list), at+1, fmt.Sprintf(format, args...))
}
