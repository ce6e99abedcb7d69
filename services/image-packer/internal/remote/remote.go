// Package remote runs the node agent on other machines, over ssh.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/luna-hpc/luna/pkg/fault"
)

const (
	// patience is how long a machine may take to answer and to let root in.
	patience = 20 * time.Second
	// most is how much of what a machine says on standard error is told.
	most = 2000
)

// Access is how machines are reached.
type Access struct {
	// Key is the file of the private key; the first of the usual ones in Home when empty.
	Key string
	// Home is root's .ssh.
	Home string
	// KnownHosts are files of host keys, ssh's own format.
	KnownHosts []string
	Port       int
}

// Host is a machine.
type Host struct {
	// Name is what a person calls it, Address where it is reached: an address or a name.
	Name, Address string
	// Port is not Access's when it is not 0.
	Port int
	// Aliases are further names in files of host keys.
	Aliases []string
	// Keys are public host keys that the machine itself has told, as in .pub files.
	Keys []string
	// Accept takes a host key of which nothing is known. One that is known to be another is never taken.
	Accept bool
}

// Machine is one that root was let in to.
type Machine struct {
	host   Host
	client *ssh.Client
	stop   func() bool
	// Accepted is the fingerprint of a host key that was taken without being known.
	Accepted string
}

// Connect logs in as root.
func (a Access) Connect(ctx context.Context, h Host) (*Machine, error) {
	signer, file, err := a.signer()
	if err != nil {
		return nil, err
	}
	if h.Port == 0 {
		h.Port = a.Port
	}
	m := &Machine{host: h}
	check, err := a.checker(h)
	if err != nil {
		return nil, err
	}
	cfg := &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, Timeout: patience,
		HostKeyCallback: check.callback, HostKeyAlgorithms: check.algorithms()}
	target := net.JoinHostPort(h.Address, strconv.Itoa(h.Port))
	dialer := net.Dialer{Timeout: patience, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 10 * time.Second, Count: 4}}
	conn, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, fault.Unavailablef("not done: %s does not answer on ssh: %w", h.Name, err)
	}
	m.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c, channels, requests, err := ssh.NewClientConn(conn, target, cfg)
	if err != nil {
		m.stop()
		return nil, errors.Join(login(h, file, check, err), conn.Close())
	}
	m.client, m.Accepted = ssh.NewClient(c, channels, requests), check.accepted
	return m, conn.SetDeadline(time.Time{})
}

// login says why root was not let in.
func login(h Host, file string, check *checker, err error) error {
	if check.refused != nil {
		return check.refused
	}
	if strings.Contains(err.Error(), "unable to authenticate") {
		return fault.Conflictf("not done: %s does not let root in with the key %s: its public half must stand in /root/.ssh/authorized_keys there", h.Name, file)
	}
	return fault.Unavailablef("not done: ssh with %s: %w", h.Name, err)
}

// usualKeys are looked for in this order.
var usualKeys = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

func (a Access) signer() (ssh.Signer, string, error) {
	files := []string{a.Key}
	if a.Key == "" {
		files = files[:0]
		for _, name := range usualKeys {
			files = append(files, filepath.Join(a.Home, name))
		}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, file, fault.Unavailablef("not done: the head's ssh key: %w", err)
		}
		signer, err := ssh.ParsePrivateKey(data)
		var locked *ssh.PassphraseMissingError
		if errors.As(err, &locked) {
			return nil, file, fault.Unavailablef("not done: the head's ssh key %s has a passphrase, which nobody is there to type: name one without, ssh_key: FILE", file)
		}
		if err != nil {
			return nil, file, fault.Unavailablef("not done: the head's ssh key %s: %w", file, err)
		}
		return signer, file, nil
	}
	return nil, "", fault.Unavailablef("not done: the head has no ssh key, none of %s: make one with ssh-keygen, or name it, ssh_key: FILE (a container sees only what compose.yaml mounts, /root/.ssh)", strings.Join(files, ", "))
}

// Close ends the connection.
func (m *Machine) Close() error {
	m.stop()
	err := m.client.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

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
	said := &tail{}
	s.Stdin, s.Stderr = in, said
	out, err := s.Output(command)
	if err != nil {
		return "", m.failed(err, said)
	}
	return string(out), nil
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
	ended := s.Wait()
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
