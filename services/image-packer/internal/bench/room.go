package bench

import (
	"strings"

	"github.com/luna-hpc/luna/pkg/job"
)

const (
	// mostText is how many bytes all results may have in the JSON of a job, which has more to say.
	mostText = job.MaxBytes * 9 / 10
	// frame is what a result has beside name and text.
	frame = 64
)

// room is how many bytes each node's text may have so that the results of all fit.
func room(nodes []target) int {
	names := 0
	for _, t := range nodes {
		names += len(t.node)
	}
	return max(48, (mostText-names)/max(1, len(nodes))-frame)
}

// fit makes a text legible, and cuts it so that JSON writes it in room bytes.
func fit(text string, room int) string {
	const dots = "…"
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = legible(line)
	}
	text = strings.Join(lines, "\n")
	size, cut := 0, 0
	for at, c := range text {
		switch {
		case strings.ContainsRune("\"\\\n", c):
			size += 2
		case strings.ContainsRune("<>&", c):
			size += len(`\u003c`)
		default:
			size += len(string(c))
		}
		if size > room {
			return text[:cut] + dots
		}
		if size <= room-len(dots) {
			cut = at + len(string(c))
		}
	}
	return text
}

// readable is an error whose text is legible and fits into a job.
type readable struct{ error }

// Error returns the text.
func (r readable) Error() string { return fit(r.error.Error(), 32<<10) }

// Unwrap returns the error.
func (r readable) Unwrap() error { return r.error }
