package graft

import (
	"fmt"
	"regexp"
	"strings"
)

// Patterns say which names are left out, as the lines of rsync's --exclude-from do (rsync(1), PATTERN MATCHING RULES).
// The zero value leaves nothing out.
type Patterns struct{ rules []rule }

type rule struct {
	match   *regexp.Regexp
	include bool
	// onlyDirs is a rule that ends with a slash, whole one that is matched with the path from the root.
	onlyDirs, whole bool
}

// ParsePatterns reads one pattern a line; empty lines, and those that begin with # or ;, are none. The first that
// matches a name decides; "+ " before a pattern keeps what it matches. A leading slash is the root of the tree. What is
// below a directory that is left out is left out.
func ParsePatterns(text string) (*Patterns, error) {
	p := &Patterns{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		switch {
		case strings.TrimSpace(line) == "", line[0] == '#', line[0] == ';':
			continue
		case line == "!":
			p.rules = nil
			continue
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, err
		}
		p.rules = append(p.rules, r...)
	}
	return p, nil
}

// Without returns patterns that leave out what p does, and before that what the lines say.
func (p *Patterns) Without(lines ...string) (*Patterns, error) {
	first, err := ParsePatterns(strings.Join(lines, "\n"))
	if err != nil || p == nil {
		return first, err
	}
	first.rules = append(first.rules, p.rules...)
	return first, nil
}

func parseRule(line string) ([]rule, error) {
	r, text := rule{}, line
	if rest, ok := strings.CutPrefix(text, "+ "); ok {
		r.include, text = true, rest
	} else if rest, ok := strings.CutPrefix(text, "- "); ok {
		text = rest
	}
	if dir, ok := strings.CutSuffix(text, "/***"); ok && dir != "" {
		itself, err := r.compile(line, dir+"/")
		if err != nil {
			return nil, err
		}
		below, err := r.compile(line, dir+"/**")
		return []rule{itself, below}, err
	}
	one, err := r.compile(line, text)
	return []rule{one}, err
}

func (r rule) compile(line, text string) (rule, error) {
	text, r.onlyDirs = strings.CutSuffix(text, "/")
	anchored := strings.HasPrefix(text, "/")
	if text == "" {
		return r, fmt.Errorf("exclude pattern %q leaves out everything", line)
	}
	r.whole = strings.Contains(text, "/") || strings.Contains(text, "**")
	expr, err := expression(strings.TrimPrefix(text, "/"))
	if err != nil {
		return r, fmt.Errorf("exclude pattern %q: %w", line, err)
	}
	if r.whole && !anchored {
		expr = "(?:.*/)?" + expr
	}
	if r.match, err = regexp.Compile("(?s)^" + expr + "$"); err != nil {
		return r, fmt.Errorf("exclude pattern %q is no pattern: %w", line, err)
	}
	return r, nil
}

// expression turns a pattern into a regular expression.
func expression(glob string) (string, error) {
	var b strings.Builder
	wild := strings.ContainsAny(glob, "*?[")
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(".*")
			i++
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '[':
			end := strings.IndexByte(glob[min(i+2, len(glob)):], ']')
			if end < 0 {
				return "", fmt.Errorf("a [ without its ]")
			}
			set := glob[i+1 : i+2+end]
			if set[0] == '!' {
				set = "^" + set[1:]
			}
			b.WriteString("[" + strings.ReplaceAll(set, `\`, `\\`) + "]")
			i += 2 + end
		case c == '\\' && wild && i+1 < len(glob):
			i++
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		default:
			b.WriteString(quote(c))
		}
	}
	return b.String(), nil
}

// quote matches one byte: what is no UTF-8 stands in a name as it is, and in an expression as what a decoder makes of it.
func quote(c byte) string {
	if c < 0x80 {
		return regexp.QuoteMeta(string(rune(c)))
	}
	return string([]byte{c})
}

// excludes tells whether a name is left out by itself.
func (p *Patterns) excludes(name string, dir bool) bool {
	if p == nil {
		return false
	}
	last := name[strings.LastIndexByte(name, '/')+1:]
	for _, r := range p.rules {
		text := last
		if r.whole {
			text = name
		}
		if (dir || !r.onlyDirs) && r.match.MatchString(text) {
			return !r.include
		}
	}
	return false
}

// Covers tells whether a name, or a directory above it, is left out.
func (p *Patterns) Covers(name string, dir bool) bool {
	for i := range len(name) {
		if name[i] == '/' && p.excludes(name[:i], true) {
			return true
		}
	}
	return p.excludes(name, dir)
}
