package remote

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/luna-hpc/luna/pkg/fault"
)

// checker checks the key of one host.
type checker struct {
	host  Host
	files []string
	known ssh.HostKeyCallback // nil when there is no file
	told  []ssh.PublicKey

	refused  error
	accepted string
}

func (a Access) checker(h Host) (*checker, error) {
	c := &checker{host: h}
	for _, file := range a.KnownHosts {
		switch _, err := os.Stat(file); {
		case err == nil:
			c.files = append(c.files, file)
		case !errors.Is(err, os.ErrNotExist): // it may revoke a key
			return nil, fault.Unavailablef("not done: read host keys: %w", err)
		}
	}
	if len(c.files) > 0 {
		known, err := knownhosts.New(c.files...)
		if err != nil {
			return nil, fault.Unavailablef("not done: read the host keys in %s: %w", strings.Join(c.files, ", "), err)
		}
		c.known = known
	}
	for _, line := range h.Keys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("the host key that %s has told: %w", h.Name, err)
		}
		c.told = append(c.told, key)
	}
	if len(c.files) == 0 {
		c.files = a.KnownHosts
	}
	return c, nil
}

// names returns under which names a host may stand in a file.
func (c *checker) names() []string {
	var all []string
	for _, name := range append([]string{c.host.Address, c.host.Name}, c.host.Aliases...) {
		all = append(all, net.JoinHostPort(name, strconv.Itoa(c.host.Port)))
	}
	return all
}

// callback is asked by ssh.
func (c *checker) callback(_ string, _ net.Addr, key ssh.PublicKey) error {
	c.refused = c.check(key)
	return c.refused
}

func (c *checker) check(key ssh.PublicKey) error {
	seen := ssh.FingerprintSHA256(key)
	if at := c.revoked(key); at != "" {
		return fault.Conflictf("not done: the host key of %s, %s, is revoked in %s: somebody may have it; give the machine a new one", c.host.Name, seen, at)
	}
	for _, told := range c.told {
		if string(told.Marshal()) == string(key.Marshal()) {
			return nil
		}
	}
	found, wrong := c.look(key)
	switch {
	case found:
		return nil
	case wrong != nil:
		return fault.Conflictf("not done: the host key of %s, %s, is not the one in %s: somebody may be listening, or the machine was installed anew; correct the line when that is so", c.host.Name, seen, *wrong)
	case len(c.told) > 0:
		return fault.Conflictf("not done: the host key of %s, %s, is none of those that it told when it was installed (`luna cluster known_hosts`): somebody may be listening; when its keys were changed since, write the new one into %s", c.host.Name, seen, c.files[0])
	case c.host.Accept && c.host.Unsure != nil:
		return fault.Unavailablef("not done: the host key of %s, %s, is in no file and cannot be compared with those that it told when it was installed, so that it is not accepted: %w", c.host.Name, seen, c.host.Unsure)
	case c.host.Accept:
		c.accepted = seen
		return nil
	}
	return fault.Conflictf("not done: the host key of %s, %s, is not known: it is not in %s. Compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says there and write it into the file with ssh-keyscan, or take it as it is with --accept_host_key",
		c.host.Name, seen, strings.Join(c.files, ", "))
}

// look asks the files: found is true when they have the key, wrong is where they have another one.
func (c *checker) look(key ssh.PublicKey) (found bool, wrong *string) {
	if c.known == nil {
		return false, nil
	}
	for _, name := range c.names() {
		err := c.known(name, none{}, key)
		var other *knownhosts.KeyError
		switch {
		case err == nil:
			found = true
		case errors.As(err, &other) && len(other.Want) > 0:
			at := other.Want[0].Filename + " line " + strconv.Itoa(other.Want[0].Line)
			wrong = &at
		}
	}
	return found, wrong
}

// revoked returns the line that revokes a key, empty when there is none. It holds for every host, whatever else is known
// of the key.
func (c *checker) revoked(key ssh.PublicKey) string {
	if c.known == nil {
		return ""
	}
	var line *knownhosts.RevokedError
	if !errors.As(c.known(c.names()[0], none{}, key), &line) {
		return ""
	}
	return line.Revoked.Filename + " line " + strconv.Itoa(line.Revoked.Line)
}

// none is an address that stands in no file: names alone are looked up.
type none struct{}

// Network returns tcp.
func (none) Network() string { return "tcp" }

// String returns an address that nobody has.
func (none) String() string { return "0.0.0.0:0" }

// algorithms puts those first of which a key is known: a host has several keys and shows one.
func (c *checker) algorithms() []string {
	var first []string
	for _, key := range c.told {
		first = append(first, algorithmsOf(key.Type())...)
	}
	if c.known != nil {
		for _, name := range c.names() {
			var other *knownhosts.KeyError
			if errors.As(c.known(name, none{}, noKey{}), &other) {
				for _, k := range other.Want {
					first = append(first, algorithmsOf(k.Key.Type())...)
				}
			}
		}
	}
	if len(first) == 0 {
		return nil // the library's own
	}
	return append(first, ssh.SupportedAlgorithms().HostKeys...)
}

func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// noKey is a key that no host has.
type noKey struct{}

// Type names no type.
func (noKey) Type() string { return "none" }

// Marshal returns nothing.
func (noKey) Marshal() []byte { return nil }

// Verify fails.
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }
