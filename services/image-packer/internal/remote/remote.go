// Package remote runs the node agent on other machines, over ssh.
package remote

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	// Unsure is why it is not known which keys the machine has told: nothing is accepted then.
	Unsure error
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
	tcp, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, fault.Unavailablef("not done: %s does not answer on ssh: %w", h.Name, err)
	}
	conn := &lively{Conn: tcp}
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
	return m, conn.watch(mute)
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
