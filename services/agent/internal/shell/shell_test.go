package shell

import (
	"bufio"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// terminal returns a terminal and the person's end of it.
func terminal(t *testing.T) (Terminal, *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		testenv.Lacks(t, "no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	return Terminal(slave.Name()), master
}

// read reads what the person sees until it has word.
func read(t *testing.T, r *bufio.Reader, word string) {
	t.Helper()
	var seen strings.Builder
	for !strings.Contains(seen.String(), word) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("saw %q, %v", seen.String(), err)
		}
		seen.WriteByte(b)
	}
}

func TestDesk(t *testing.T) {
	tty, person := terminal(t)
	screen := bufio.NewReader(person)
	said := make(chan string, 10)
	d := &Desk{Terminals: []Terminal{tty}, Env: []string{"PATH=" + os.Getenv("PATH"), "WHO=luna"},
		Greeting: func() string { return "welcome to node001\n" },
		Say:      func(m string, _ Terminal, err error) { said <- m }}
	if err := d.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()

	// What stood there before the desk listened is dropped, so press until it answers.
	for open := false; !open; {
		person.WriteString("\n")
		select {
		case m := <-said:
			open = strings.Contains(m, "a shell is open")
		case <-time.After(20 * time.Millisecond): // Not listening yet: press again.
		}
	}
	read(t, screen, "welcome to node001")
	person.WriteString("echo I-am-$WHO-$TERM on $(tty)\n")
	read(t, screen, "I-am-luna-vt220 on "+string(tty))

	waited, stop := context.WithCancel(t.Context())
	stop()
	if err := d.Idle(waited); err == nil {
		t.Error("idle while a shell is open")
	}
	person.WriteString("exit 3\n")
	if m := <-said; m != "the shell has ended" {
		t.Errorf("said %q", m)
	}
	if err := d.Idle(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	<-done
}

func TestShellEndsWithItsContext(t *testing.T) {
	tty, person := terminal(t)
	screen := bufio.NewReader(person)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- tty.Open(ctx, []string{"PATH=" + os.Getenv("PATH")}, "") }()
	person.WriteString("echo up-$((40+2))\n")
	read(t, screen, "up-42")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("shell gave %v", err)
	}
}

func TestNoTerminal(t *testing.T) {
	var said []string
	d := &Desk{Terminals: []Terminal{"/dev/none"}, Say: func(m string, _ Terminal, err error) { said = append(said, m+": "+err.Error()) }}
	d.Run(t.Context())
	if len(said) != 1 || !strings.Contains(said[0], "this console takes no input: listen on /dev/none") {
		t.Errorf("said %q", said)
	}
	if err := Terminal("/dev/none").Open(t.Context(), nil, ""); err == nil {
		t.Error("opened a shell on nothing")
	}
}

func TestKind(t *testing.T) {
	for name, want := range map[Terminal]string{"/dev/tty1": "linux", "/dev/ttyS0": "vt220", "/dev/hvc0": "vt220"} {
		if got := name.kind(); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
}
