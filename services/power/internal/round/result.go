package round

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/job"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/power/internal/controller"
	"github.com/luna-hpc/luna/services/power/internal/roster"
)

const (
	// most is how many bytes all results may have in the JSON of a job, which has
	// more to say.
	most = job.MaxBytes * 9 / 10
	// frame is what a result has beside name and text.
	frame = 64
	// A text has as many bytes as there is room for between these two.
	shortest, longest = 48, 400
)

// room is how many bytes each text may have so that all results fit.
func room(entries []roster.Entry) int {
	if len(entries) == 0 {
		return longest
	}
	names := 0
	for _, e := range entries {
		names += len(e.Node)
	}
	return min(longest, max(shortest, (most-names)/len(entries)-frame))
}

// result is what of an answer goes into the job; the log has the rest.
func (r Round) result(a controller.Action, e roster.Entry, text string, err error, room int) *jobv1.Result {
	p := e.Controller.Password
	if err == nil {
		return &jobv1.Result{Name: e.Node, Text: cut(plain(p.Scrub(text)), room)}
	}
	kind := fault.KindOf(err)
	r.Log.Warn("not done", "action", a, "node", e.Node, "controller", e.Controller.Address, "kind", kind.String(), "err", p.Scrub(why(err)))
	return &jobv1.Result{Name: e.Node, Error: cut(plain(p.Scrub(fault.Public(err))), room), ErrorCode: uint32(kind.Code())}
}

// why is an error with the causes that its text leaves out.
func why(err error) string {
	text := err.Error()
	for inner := err; inner != nil; {
		u, ok := inner.(interface{ Unwrap() error })
		if !ok {
			break
		}
		if inner = u.Unwrap(); inner != nil && !strings.Contains(text, inner.Error()) {
			text += ": " + inner.Error()
		}
	}
	return text
}

// plain takes out what JSON writes longer than it is; controllers send anything.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c == '\\':
			return '/'
		case !unicode.IsPrint(c) || c == utf8.RuneError:
			return ' '
		}
		return c
	}, text)
}

// cut shortens a text to room bytes.
func cut(text string, room int) string {
	const dots = "…"
	if len(text) <= room {
		return text
	}
	at := room - len(dots)
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at] + dots
}
