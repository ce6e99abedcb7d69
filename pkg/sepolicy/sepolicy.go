// Package sepolicy reads which SELinux policy a system has switched on.
package sepolicy

import (
	"fmt"
	"path"
	"strings"
)

// Policy is what a system does with SELinux. The zero value is nothing.
type Policy struct {
	// Type names the policy and its folder: targeted, mls.
	Type string
	// Enforcing tells whether what the policy forbids is refused, not only noted.
	Enforcing bool
}

// On tells whether there is a policy at all.
func (p Policy) On() bool { return p.Type != "" }

// String returns "enforcing (targeted)", "permissive (targeted)" or "off".
func (p Policy) String() string {
	switch {
	case !p.On():
		return "off"
	case p.Enforcing:
		return "enforcing (" + p.Type + ")"
	}
	return "permissive (" + p.Type + ")"
}

// Contexts is the file in the system that says which label belongs to which path.
func (p Policy) Contexts() string {
	return path.Join(dir, p.Type, "contexts/files/file_contexts")
}

// Programs are those of the system that load a policy and label files, in the order of use.
var Programs = []string{"load_policy", "setfiles"}

// Places are the folders where systems have the Programs.
var Places = []string{"usr/sbin", "sbin", "usr/bin"}

const dir = "etc/selinux"

// Tree reads files of a system by paths without a leading slash. What is not there is empty.
type Tree interface {
	Read(name string) ([]byte, error)
	List(dir string) ([]string, error)
}

// Read returns the policy that the system's own start would load. A configuration whose policy is not installed switches
// nothing on.
func Read(t Tree) (Policy, error) {
	config, err := t.Read(dir + "/config")
	if err != nil {
		return Policy{}, fmt.Errorf("read the SELinux configuration: %w", err)
	}
	p := parse(string(config))
	if !p.On() {
		return p, nil
	}
	names, err := t.List(path.Join(dir, p.Type, "policy"))
	if err != nil {
		return Policy{}, fmt.Errorf("look for the SELinux policy: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "policy.") {
			return p, nil
		}
	}
	return Policy{}, nil
}

// parse reads selinux_config(5), as libselinux does: the mode in any case, targeted unless said otherwise.
func parse(config string) Policy {
	p := Policy{Type: "targeted"}
	on := false
	for line := range strings.Lines(config) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.TrimSpace(value)
		switch {
		case !ok:
		case name == "SELINUX":
			mode := strings.ToLower(value)
			p.Enforcing = strings.HasPrefix(mode, "enforcing")
			on = p.Enforcing || strings.HasPrefix(mode, "permissive")
		case name == "SELINUXTYPE" && value != "":
			p.Type = value
		}
	}
	if !on || strings.Contains(p.Type, "/") || strings.HasPrefix(p.Type, ".") {
		return Policy{}
	}
	return p
}
