package console

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
)

// Prefix starts every message of the agent.
const Prefix = "luna: "

// Handler writes log records as lines that a person reads:
//
//	luna: address set interface=ens3 address=10.30.0.1/16
type Handler struct {
	mu     *sync.Mutex
	to     []io.Writer
	level  slog.Level
	prefix string
	attrs  string
}

// NewHandler returns a Handler that writes each record once to each writer.
func NewHandler(level slog.Level, to ...io.Writer) *Handler {
	return &Handler{mu: &sync.Mutex{}, to: to, level: level}
}

// Enabled tells whether records of the level are written.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle writes one record.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(Prefix)
	if r.Level >= slog.LevelError {
		b.WriteString("error: ")
	}
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attr(&b, h.prefix, a)
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.to {
		// Where messages themselves cannot be written nothing can be said.
		_, _ = io.WriteString(w, b.String())
	}
	return nil
}

// WithAttrs returns a Handler whose records carry attrs too.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		attr(&b, h.prefix, a)
	}
	c := *h
	c.attrs += b.String()
	return &c
}

// WithGroup returns a Handler whose attributes have name before their key.
func (h *Handler) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix += name + "."
	return &c
}

func attr(b *strings.Builder, prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, one := range value.Group() {
			attr(b, prefix, one)
		}
		return
	}
	text := value.String()
	if a.Key == "err" {
		// An error is the end of the sentence, in its own words.
		b.WriteString(": " + strings.ReplaceAll(text, "\n", "; "))
		return
	}
	if text == "" || strings.ContainsAny(text, " \t\n\"=") {
		text = strconv.Quote(text)
	}
	b.WriteString(" " + prefix + a.Key + "=" + text)
}

// Kmsg turns lines into records of the kernel's log, at the level that the
// kernel does not print on its consoles, which have the line already.
type Kmsg struct{ To io.Writer }

// Write writes each line as one record.
func (k Kmsg) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		// Facility daemon (3), severity debug (7).
		if _, err := k.To.Write(append([]byte("<31>"), line...)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
