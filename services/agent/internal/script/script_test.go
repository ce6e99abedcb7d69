package script

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTailKeepsTheLastLines(t *testing.T) {
	var tail Tail
	for i := range 120 {
		fmt.Fprintf(&tail, "line %d\n", i)
	}
	io.WriteString(&tail, "unfinished")
	lines := tail.Lines()
	if len(lines) != Lines || lines[0] != "line 71" || lines[Lines-1] != "unfinished" {
		t.Errorf("%d lines, from %q to %q", len(lines), lines[0], lines[len(lines)-1])
	}
}

func TestTailLines(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want []string
	}{
		{"nothing", nil, nil},
		{"pieces of a line", []string{"a", "b\nc", "\n"}, []string{"ab", "c"}},
		{"empty lines", []string{"\n\n"}, []string{"", ""}},
		{"terminal line ends", []string{"a\r\nb\r", "\n"}, []string{"a", "b"}},
		{"progress", []string{"10 %\r20 %", "\r30 %\ndone\n"}, []string{"30 %", "done"}},
		{"progress goes on", []string{"10 %\r", "20 %\r"}, []string{"20 %"}},
		{"not UTF-8", []string{"a\xff\xfeb\n"}, []string{"a\uFFFDb"}},
		{"long", []string{strings.Repeat("x", 100000) + "\n"}, []string{strings.Repeat("x", width)}},
	} {
		var tail Tail
		for _, text := range c.in {
			io.WriteString(&tail, text)
		}
		if got := tail.Lines(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("a\r\nb\rc"), 2)
	f.Fuzz(func(t *testing.T, p []byte, at int) {
		var tail Tail
		at = min(max(at, 0), len(p))
		tail.Write(p[:at])
		tail.Write(p[at:])
		var whole Tail
		whole.Write(p)
		if len(p) < width && tail.String() != whole.String() {
			t.Errorf("in two writes %q, in one %q", tail.String(), whole.String())
		}
		if !utf8.ValidString(tail.String()) || len(tail.Lines()) > Lines {
			t.Errorf("kept %q", tail.String())
		}
	})
}

// run saves text as a script and runs it.
func run(t *testing.T, ctx context.Context, text string) (string, *Tail, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sh")
	if err := Save(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	tail, err := Script{Path: path, Env: []string{"PATH=" + os.Getenv("PATH"), "NAME=luna"}, Dir: "/", Out: &out}.Run(ctx)
	return out.String(), tail, err
}

func TestScriptRunsOnAfterAFailure(t *testing.T) {
	out, tail, err := run(t, t.Context(), "false\necho $NAME in $PWD; echo err >&2; read x; echo \"[$x]\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := "luna in /\nerr\n[]\n"; out != want || tail.String() != want {
		t.Errorf("said %q, kept %q", out, tail)
	}
}

func TestExitStatusDecides(t *testing.T) {
	out, _, err := run(t, t.Context(), "echo before\nexit 7\n")
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || out != "before\n" {
		t.Errorf("said %q, error %v", out, err)
	}
}

func TestBackgroundProcessDoesNotHoldTheScript(t *testing.T) {
	out, _, err := run(t, t.Context(), "sleep 60 & echo $!\n")
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
}

func TestStoppedScriptTakesItsChildrenAlong(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "s.sh")
	if err := Save(path, []byte("echo started\nsleep 60\necho ended\n")); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	go func() {
		r.Read(make([]byte, 64))
		cancel()
	}()
	tail, err := Script{Path: path, Env: os.Environ(), Dir: "/", Out: w}.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "was stopped") || tail.String() != "started\n" {
		t.Errorf("kept %q, error %v", tail, err)
	}
}
