package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// machine makes a root folder with consoles that are plain files.
func machine(t *testing.T, active string, devices ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"sys/class/tty/console", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "sys/class/tty/console/active"), active+"\n")
	for _, name := range devices {
		write(t, filepath.Join(root, "dev", name), "")
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestActive(t *testing.T) {
	for _, c := range []struct {
		active  string
		devices []string
		want    []string
	}{
		{"tty0 ttyS0", []string{"tty0", "tty1", "ttyS0"}, []string{"tty1", "ttyS0"}},
		{"ttyS0", []string{"tty1", "ttyS0"}, []string{"tty1", "ttyS0"}},
		{"ttyS0", []string{"ttyS0"}, []string{"ttyS0"}},
		{"tty1 ttyS1 hvc0", []string{"tty1", "ttyS1"}, []string{"tty1", "ttyS1"}},
		{"", nil, []string{}},
	} {
		if got := Active(machine(t, c.active, c.devices...)); !slices.Equal(got, c.want) {
			t.Errorf("%q with %v: %v, want %v", c.active, c.devices, got, c.want)
		}
	}
}

func TestEveryConsoleGetsTheText(t *testing.T) {
	root := machine(t, "tty0 ttyS0", "tty1", "ttyS0", "ttyS5")
	set := Open(root, "ttyS5", "ttyS0", "ttyS9", "")
	if want := []string{"tty1", "ttyS0", "ttyS5"}; !slices.Equal(set.Names(), want) {
		t.Fatalf("open are %v, want %v", set.Names(), want)
	}
	io.WriteString(set, "hello\n")
	io.WriteString(set, "world\n")
	if err := set.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tty1", "ttyS0", "ttyS5"} {
		if got, err := os.ReadFile(filepath.Join(root, "dev", name)); err != nil || string(got) != "hello\nworld\n" {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
}

// TestOneConsoleThatHangs writes more to a terminal that nobody reads than it holds.
func TestOneConsoleThatHangs(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		testenv.Lacks(t, "no pseudo terminals here: ", err)
	}
	defer master.Close()
	defer slave.Close()
	root := machine(t, "ttyS0 ttyS1", "ttyS0")
	if err := os.Symlink(slave.Name(), filepath.Join(root, "dev/ttyS1")); err != nil {
		t.Fatal(err)
	}
	set := Open(root)
	line := strings.Repeat("x", 4095) + "\n"
	for range 2 * depth {
		io.WriteString(set, line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := set.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close gave %v", err)
	}
}

type slow struct {
	bytes.Buffer
	held chan struct{}
}

func (s *slow) Write(p []byte) (int, error) {
	<-s.held
	return s.Buffer.Write(p)
}

func (s *slow) Close() error { return nil }

func TestSlowConsoleSaysThatTextIsLost(t *testing.T) {
	to := &slow{held: make(chan struct{})}
	s := newSink(to, nil)
	for range 3 * depth {
		s.put([]byte("line\n"))
	}
	close(to.held)
	if err := s.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(to.String(), "some text is lost"); n != 1 {
		t.Errorf("said %d times that text is lost", n)
	}
	if n := strings.Count(to.String(), "line\n"); n < depth-1 || n > depth+1 {
		t.Errorf("%d lines came through", n)
	}
}

// hung is a terminal that was hung up.
type hung struct{ closed bool }

func (h *hung) Write([]byte) (int, error) { return 0, os.ErrClosed }
func (h *hung) Close() error              { h.closed = true; return nil }

func TestConsoleIsOpenedAnewAfterAHangup(t *testing.T) {
	first, second := &hung{}, &slow{held: make(chan struct{})}
	close(second.held)
	s := newSink(first, func() (io.WriteCloser, error) { return second, nil })
	s.put([]byte("one\n"))
	s.put([]byte("two\n"))
	if err := s.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second.String() != "one\ntwo\n" || !first.closed {
		t.Errorf("has %q, the old one is closed: %t", second.String(), first.closed)
	}
}

func TestHandler(t *testing.T) {
	var a, kernel bytes.Buffer
	log := slog.New(NewHandler(slog.LevelInfo, &a, Kmsg{To: &kernel}))
	log.Debug("not this")
	log.With("node", "node001").WithGroup("net").Info("address set", "interface", "ens3", "what", "a b", "none", "")
	log.Error("network", "err", errors.Join(errors.New("first"), errors.New("second")))
	want := "luna: address set node=node001 net.interface=ens3 net.what=\"a b\" net.none=\"\"\n" +
		"luna: error: network: first; second\n"
	if a.String() != want {
		t.Errorf("console has\n%swant\n%s", a.String(), want)
	}
	if want := "<31>" + strings.Replace(want, "\nluna", "\n<31>luna", 1); kernel.String() != want {
		t.Errorf("kernel log has\n%swant\n%s", kernel.String(), want)
	}
}
