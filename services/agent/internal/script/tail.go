// Package script runs the install script's parts in bash and keeps the last lines that they said.
package script

import (
	"bytes"
	"strings"
	"sync"
)

// Lines is how many lines of output a step keeps.
const Lines = 50

// width is how many bytes of one line are kept.
const width = 500

// Tail keeps the last lines of what is written to it. Of a line that carriage
// returns draw anew, as progress bars do, it keeps the last drawing. It may be
// used from several goroutines. The zero value is ready.
type Tail struct {
	mu    sync.Mutex
	lines []string
	part  []byte
}

// Write takes more output; it never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range bytes.Lines(p) {
		rest, ended := bytes.CutSuffix(line, []byte("\n"))
		t.extend(rest)
		if ended {
			t.end()
		}
	}
	return len(p), nil
}

// Lines returns the kept lines as valid UTF-8, the unfinished last one included.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append([]string(nil), t.lines...)
	if len(t.part) > 0 {
		lines = append(lines, clean(t.part))
	}
	return lines[max(0, len(lines)-Lines):]
}

// String returns the kept lines with a newline after each.
func (t *Tail) String() string {
	lines := t.Lines()
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// extend adds to the unfinished line. The carriage return of a terminal's line
// end stays until it is known that text follows.
func (t *Tail) extend(p []byte) {
	for len(p) > 0 {
		if n := len(t.part); n > 0 && t.part[n-1] == '\r' && p[0] != '\r' {
			t.part = t.part[:0]
		}
		i := bytes.IndexByte(p, '\r') + 1
		if i == 0 {
			i = len(p)
		}
		t.part = append(t.part, p[:i]...)
		if len(t.part) > 2*width {
			t.part = append(t.part[:width], t.part[len(t.part)-1])
		}
		p = p[i:]
	}
}

func (t *Tail) end() {
	t.lines = append(t.lines, clean(t.part))
	t.part = t.part[:0]
	if len(t.lines) > Lines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
}

func clean(line []byte) string {
	line = bytes.TrimRight(line, "\r")
	return strings.ToValidUTF8(string(line[:min(len(line), width)]), "\uFFFD")
}
