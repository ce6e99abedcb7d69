package exchange

import (
	"slices"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLine[string](2, 2*second)
	for _, step := range []struct {
		what string
		do   func() []string
		want string
	}{
		{"a comes", func() []string { return l.join("a", now) }, "a"},
		{"b comes", func() []string { return l.join("b", now) }, "b"},
		{"c waits", func() []string { return l.join("c", now) }, ""},
		{"c asks again", func() []string { return l.join("c", now) }, ""},
		{"a asks again", func() []string { return l.join("a", now) }, ""},
		{"d waits", func() []string { return l.join("d", now) }, ""},
		{"a is done", func() []string { return l.leave("a", now) }, "c"},
		{"a stands in line again", func() []string { return l.join("a", now) }, ""},
		{"d gives up", func() []string { return l.leave("d", now) }, ""},
		{"nobody is late", func() []string { return l.sweep(now.Add(second)) }, ""},
		{"c takes something", func() []string { l.took("c", now.Add(second)); return nil }, ""},
		{"b is late", func() []string { return l.sweep(now.Add(2 * second)) }, "a"},
		{"b comes again", func() []string { return l.join("b", now) }, ""},
		{"c is done", func() []string { return l.leave("c", now) }, "b"},
	} {
		var want []string
		if step.want != "" {
			want = []string{step.want}
		}
		if got := step.do(); !slices.Equal(got, want) {
			t.Errorf("%s: %q are served, want %q", step.what, got, want)
		}
	}
	if !l.serves("a") || l.serves("c") || l.took("c", now) {
		t.Error("the wrong ones are served")
	}
}
