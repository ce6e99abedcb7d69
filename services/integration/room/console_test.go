package room

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWaitConsoleReadsOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node001.console")
	c, err := newConsole(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.file.Close()
	c.attach(nil)
	m := &Machine{Name: "node001", machine: &machine{console: c}}
	say := func(text string) {
		t.Helper()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(want string) {
		t.Helper()
		if err := m.WaitConsole(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	say("starting\nlog")
	waited := make(chan error)
	go func() { waited <- m.WaitConsole(t.Context(), "login:") }()
	say("in: ")
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.WaitConsole(ended, "login:"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "login: ") {
		t.Errorf("the same prompt was found twice, or the error lacks the console: %v", err)
	}
	say("restarting\nlogin: ")
	wait("restarting")
	wait("login:")
	say("panic\n")
	c.skip()
	c.detach()
	if err := m.WaitConsole(t.Context(), "panic"); err == nil {
		t.Error("what was skipped was found")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != m.Console() || !strings.HasSuffix(m.Console(), "login: panic\n") {
		t.Errorf("file %q, console %q", text, m.Console())
	}
}
