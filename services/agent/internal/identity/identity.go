// Package identity makes an image one node's own: its name, the names it knows, its machine id.
package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strings"
)

// Identity is what the head says about a node.
type Identity struct {
	Node string `json:"node"`
	// Hostname goes into /etc/hostname as it stands.
	Hostname string `json:"hostname"`
	// MachineID is 32 lower-case hex digits, machine-id(5).
	MachineID string `json:"machine_id"`
	// Hosts go into /etc/hosts.
	Hosts []Host `json:"hosts"`
}

// Host is one line of hosts(5).
type Host struct {
	Address netip.Addr `json:"address"`
	Names   []string   `json:"names"`
}

// Parse reads an Identity strictly and checks it.
func Parse(r io.Reader) (Identity, error) {
	var id Identity
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&id); err != nil {
		return Identity{}, fmt.Errorf("read the node's identity: %w", err)
	}
	if err := id.check(); err != nil {
		return Identity{}, fmt.Errorf("the node's identity: %w", err)
	}
	return id, nil
}

func (id Identity) check() error {
	if !isName(id.Hostname) {
		return fmt.Errorf("%q is no host name", id.Hostname)
	}
	if len(id.MachineID) != 32 || strings.Trim(id.MachineID, "0123456789abcdef") != "" || strings.Trim(id.MachineID, "0") == "" {
		return fmt.Errorf("machine id %q is not 32 lower-case hex digits", id.MachineID)
	}
	for _, h := range id.Hosts {
		if !h.Address.IsValid() || len(h.Names) == 0 {
			return fmt.Errorf("host %v has no address or no name", h)
		}
		for _, name := range h.Names {
			if !isName(name) {
				return fmt.Errorf("%q is no host name", name)
			}
		}
	}
	return nil
}

func isName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return s != "" && len(s) <= 253 && strings.Trim(s, letters) == ""
}

// Tree is where the files go. *sysroot.Tree is one.
type Tree interface {
	Read(name string) ([]byte, error)
	Write(name string, data []byte, mode fs.FileMode) (changed bool, err error)
}

// Write writes the identity's files and returns the names of those that
// changed. Written twice, none changes.
func (id Identity) Write(tree Tree) ([]string, error) {
	hosts, err := tree.Read("etc/hosts")
	if err != nil {
		return nil, fmt.Errorf("read etc/hosts: %w", err)
	}
	hosts, err = id.merge(hosts)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, f := range []struct {
		name string
		data []byte
		mode fs.FileMode
	}{
		{"etc/hostname", []byte(id.Hostname + "\n"), 0o644},
		{"etc/hosts", hosts, 0o644},
		{"etc/machine-id", []byte(id.MachineID + "\n"), 0o444},
	} {
		yes, err := tree.Write(f.name, f.data, f.mode)
		if err != nil {
			return changed, err
		}
		if yes {
			changed = append(changed, f.name)
		}
	}
	return changed, nil
}

const (
	begin = "# BEGIN luna: written at each boot\n"
	end   = "# END luna\n"
)

// merge puts the node's hosts into a hosts file, in place of those that an
// earlier boot has put there. All other lines stay.
func (id Identity) merge(old []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(old, []byte(begin))
	var after []byte
	if found {
		var closed bool
		if _, after, closed = bytes.Cut(rest, []byte(end)); !closed {
			return nil, errors.New("etc/hosts of the image has a line \"# BEGIN luna\" without its end")
		}
	}
	var b bytes.Buffer
	b.Write(before)
	if n := len(before); n > 0 && before[n-1] != '\n' {
		b.WriteByte('\n')
	}
	b.WriteString(begin)
	for _, h := range id.Hosts {
		fmt.Fprintf(&b, "%s\t%s\n", h.Address, strings.Join(h.Names, " "))
	}
	b.WriteString(end)
	b.Write(after)
	return b.Bytes(), nil
}
