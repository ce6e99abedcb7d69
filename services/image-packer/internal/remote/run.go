package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/luna-hpc/luna/pkg/fault"
)

// place makes a folder for root in which programs can be started, and puts standard input there as luna-agent. /run may
// be mounted noexec.
const place = `set -u; umask 077
for d in /run /dev/shm /var/tmp /root; do
	t=$(mktemp -d "$d/luna.XXXXXXXXXX" 2>/dev/null) || continue
	printf '#!/bin/sh\nexit 0\n' >"$t/try" && chmod 700 "$t/try" && "$t/try" 2>/dev/null && rm "$t/try" &&
		cat >"$t/luna-agent" && chmod 700 "$t/luna-agent" && echo "$t" && exit 0
	rm -rf "$t"
done
echo "there is no folder in which a program can be put and started" >&2; exit 1`

// machines are how uname names the machines that programs of a Go architecture run on.
var machines = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// Run starts the agent's command there and has talk speak with it. It leaves nothing behind.
func (m *Machine) Run(ctx context.Context, agent, command string, talk func(in io.Reader, out io.WriteCloser) error) error {
	kind, err := m.output(nil, "uname -m")
	if err != nil {
		return err
	}
	if want := machines[runtime.GOARCH]; strings.TrimSpace(kind) != want {
		return fault.Conflictf("not done: %s is a %s, and the head's agent runs on %s", m.host.Name, strings.TrimSpace(kind), want)
	}
	program, err := os.Open(agent)
	if err != nil {
		return err
	}
	defer program.Close()
	folder, err := m.output(program, place)
	if err != nil {
		return err
	}
	folder = strings.TrimSpace(folder)
	if !filepath.IsAbs(folder) || strings.ContainsAny(folder, " '\"\n$`\\") {
		return fault.Unavailablef("not done: %s answers %q when asked for a folder", m.host.Name, folder)
	}
	err = m.talk(folder+"/luna-agent "+command+" once", talk)
	if ctx.Err() == nil {
		_, gone := m.output(nil, "rm -rf "+folder)
		err = errors.Join(err, gone)
	}
	return err
}

// output runs a command and returns what it prints.
func (m *Machine) output(in io.Reader, command string) (string, error) {
	s, err := m.client.NewSession()
	if err != nil {
		return "", m.lost(err)
	}
	defer s.Close()
	said, out := &tail{}, &answer{over: make(chan struct{})}
	s.Stdin, s.Stdout, s.Stderr = in, out, said
	if err := s.Start(command); err != nil {
		return "", m.failed(err, said)
	}
	err = m.wait(s, mute, out.over)
	if out.tooLong {
		return "", fault.Unavailablef("not done: %s answers with more than %d bytes, the limit of what a command may say there", m.host.Name, mostAnswer)
	}
	if err != nil {
		return "", m.failed(err, said)
	}
	return out.text.String(), nil
}

// wait waits until what was started ended. The connection ends when that takes too long, or when over is closed: a machine
// that means harm goes on for ever.
func (m *Machine) wait(s *ssh.Session, long time.Duration, over <-chan struct{}) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-over:
	case <-time.After(long):
	}
	closed := m.client.Close()
	return errors.Join(<-ended, closed)
}

func (m *Machine) talk(command string, talk func(in io.Reader, out io.WriteCloser) error) error {
	s, err := m.client.NewSession()
	if err != nil {
		return m.lost(err)
	}
	defer s.Close()
	said := &tail{}
	s.Stderr = said
	in, err := s.StdoutPipe()
	if err != nil {
		return err
	}
	out, err := s.StdinPipe()
	if err != nil {
		return err
	}
	if err := s.Start(command); err != nil {
		return m.failed(err, said)
	}
	err = talk(in, out)
	closed := out.Close()
	if err != nil {
		s.Close() // it may be writing what nobody reads
	}
	ended := m.wait(s, farewell, nil)
	if err != nil && said.text() != "" {
		return fmt.Errorf("%w (%s says: %s)", err, m.host.Name, said.text())
	}
	if err != nil {
		return err
	}
	if ended != nil {
		return m.failed(ended, said)
	}
	if closed != nil && !errors.Is(closed, io.EOF) {
		return closed
	}
	return nil
}

func (m *Machine) lost(err error) error {
	return fault.Unavailablef("the connection with %s is lost: %w", m.host.Name, err)
}

// failed says why a command failed there.
func (m *Machine) failed(err error, said *tail) error {
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return fault.Unavailablef("on %s: %s", m.host.Name, said.textOr(err))
	}
	return m.lost(err)
}

// tail keeps the end of what a machine says.
type tail struct {
	mu   sync.Mutex
	data []byte
}

// Write keeps the end.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	t.data = t.data[max(0, len(t.data)-most):]
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.data))
}

func (t *tail) textOr(err error) string {
	if text := t.text(); text != "" {
		return text
	}
	return err.Error()
}
